// One call: the reason for its response, its pictures, its bodies, and how to repeat it.
import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, attempt, get, notify, query, send } from "./api";
import {
  type Blobbed,
  type Group,
  blobUrl,
  blobsOf,
  calls,
  curlOf,
  kept,
  loadKept,
  matchOf,
  verifyCommand,
  verifyPython,
  version,
} from "./calls";
import { credential, errors, go, params, to, unmask, unmaskAll, warningKinds } from "./state";
import { bytes, download, duration, moment, plural, short } from "./text";
import type { Body, Call, Costs, Delivery, ErrorEntry, Json, Pairs, Rule, Task, Verdict } from "./types";
import { A, Chips, Code, Copy, Empty, Inline, JsonView, MarkTag, Members, Status, Tree, Vendor } from "./ui";
import { Model } from "./model";

export async function replay(call: Call): Promise<void> {
  await attempt(async () => {
    const again = await send<Call>("POST", `/calls/${call.number}/replay`);
    notify(`Sent again as call ${again.number}.`);
    const { credential: _, ...rest } = Object.fromEntries(params.value);
    go(to(`live/${again.number}`, rest));
  });
}

export function Detail({ number, groups, close }: { number: number; groups: Map<string, Group>; close: () => void }) {
  const [fetched, setFetched] = useState<Call | null>(null);
  const [error, setError] = useState("");
  const [tab, setTab] = useState<"call" | "task">("call");
  const head = useRef<HTMLHeadingElement>(null);
  const call = calls.find((each) => each.number === number) ?? fetched;
  void version.value;

  useEffect(() => {
    void loadKept();
    if (!calls.some((each) => each.number === number)) {
      get<Call>(`/calls/${number}`).then(setFetched, (problem: Error) => setError(problem.message));
    }
  }, [number]);

  const group = call ? [...groups.values()].find((each) => each.creation.number === number || each.others.some((other) => other.number === number)) : undefined;
  return (
    <section class="detail" aria-label={`Call ${number}`}>
      <header>
        <h2 ref={head} tabIndex={-1}>
          {call && <Status status={call.status} complete={call.is_complete} />}
          <span>{call?.operation ?? call?.method ?? `Call ${number}`}</span>
        </h2>
        {group && (
          <Chips
            label="Show"
            value={tab}
            options={[
              ["call", `Call ${number}`],
              ["task", "Its task"],
            ]}
            change={setTab}
          />
        )}
        <span class="grow" />
        <button type="button" class="icon" aria-label="Close" onClick={close}>
          ✕
        </button>
      </header>
      <div class="scroll">
        {!call && error && <Empty title={error} />}
        {call && (tab === "task" && group ? <TaskView group={group} /> : <CallView call={call} />)}
      </div>
    </section>
  );
}

function CallView({ call }: { call: Call }) {
  return (
    <>
      <div class="facts">
        <Vendor name={call.vendor} />
        <span class="muted">#{call.number}</span>
        {call.credential && <span class="muted">as {unmask(call.credential)}</span>}
        <span class="muted">{moment(call.started_at)}</span>
        <span class="muted">{duration(call.duration_ms)}</span>
        {Math.abs(call.started_at - call.real_started_at) > 1 && (
          <span class="tag" title="The credential's clock differs from the machine's clock.">
            emulated time; real time {moment(call.real_started_at)}
          </span>
        )}
      </div>
      <p class="target">
        <code>
          {call.method} {call.url}
          {unmaskAll(call.path)}
        </code>
      </p>
      <Why call={call} />
      <Pictures call={call} />
      <BodyView heading="Request" headers={call.request_headers} given={call.query} body={call.sent} file={`request-${call.number}.json`} />
      <BodyView heading="Response" headers={call.response_headers} given={[]} body={call.answer} file={`response-${call.number}.json`} />
      <Repeat call={call} />
    </>
  );
}

/** Return the entries of the error catalogue that match a response. */
function errorsOf(call: Call): ErrorEntry[] {
  if (call.status === null) return [];
  const body = JSON.stringify(call.answer?.json ?? call.answer?.text ?? "");
  return errors.value.filter((entry) => {
    if (entry.vendor !== call.vendor || entry.status !== call.status) return false;
    if (call.operation && entry.operations.length && !entry.operations.includes(call.operation)) return false;
    if (entry.status < 400 && !entry.of_task) return false;
    const parts = entry.text.split(/\n|<br>/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\\\{\w+\\\}/g, ".+?"));
    return parts.every((part) => part && new RegExp(part).test(body));
  });
}

function Why({ call }: { call: Call }) {
  const [rule, setRule] = useState<Rule | null>(null);
  const ruleId = call.fault?.source.startsWith("rule ") ? call.fault.source.slice(5) : null;
  useEffect(() => {
    setRule(null);
    if (ruleId) void get<Rule[]>("/faults").then((rules) => setRule(rules.find((each) => each.id === ruleId) ?? null));
  }, [ruleId]);
  const known = call.fault ? [] : errorsOf(call);
  return (
    <section class="why">
      <h3>Why this response</h3>
      {call.fault && (
        <div class="note fault">
          <p>
            <b>Injected</b> by {ruleId ? <A href={to("faults")}>{call.fault.source}</A> : `the ${call.fault.source} of the request`}.{" "}
            {ruleId && (rule ? `The rule has fired ${plural(rule.fired, "time")}, and matched ${plural(rule.matched, "call")}.` : "The rule is no longer active.")}
          </p>
          <Members value={call.fault.effect} />
        </div>
      )}
      {known.slice(0, 3).map((entry) => (
        <div class="note error" key={entry.name}>
          <p>
            <A href={to("faults", { tab: "errors", q: entry.name, vendor: entry.vendor })}>{entry.name}</A> <MarkTag mark={entry.mark} />
          </p>
          <p>
            <Inline text={entry.when} />
          </p>
          <p class="muted">{entry.source}</p>
        </div>
      ))}
      {call.warnings.map((warning) => {
        const kind = warningKinds.value.find((each) => each.code === warning.code);
        return (
          <div class="note warn" key={warning.code + warning.detail}>
            <p>
              <b>{warning.code}</b> {warning.detail}
            </p>
            {kind && <p class="muted">{kind.advice}</p>}
          </div>
        );
      })}
      {!call.fault && known.length === 0 && call.warnings.length === 0 && (
        <p class="muted">
          {call.status === null
            ? "The connection ended without a response."
            : call.status < 400
              ? "No fault was injected, and the request has no warning."
              : "No entry of the error catalogue has this status and text."}
        </p>
      )}
    </section>
  );
}

export function Pictures({ call, heading = "Pictures and files" }: { call: Call; heading?: string }) {
  const sent = blobsOf(call.sent, "request");
  const got = blobsOf(call.answer, "response");
  if (sent.length + got.length === 0) return null;
  const isKept = kept.value?.calls.includes(call.number) ?? false;
  return (
    <section>
      <h3>{heading}</h3>
      {isKept ? (
        <div class="pictures">
          {sent.map((blob) => (
            <BlobView key={`s${blob.sha256}${blob.place}`} call={call} blob={blob} side="sent" />
          ))}
          {got.map((blob) => (
            <BlobView key={`g${blob.sha256}${blob.place}`} call={call} blob={blob} side="received" others={got} />
          ))}
        </div>
      ) : (
        <p class="muted">
          {plural(sent.length + got.length, "file")}, {bytes([...sent, ...got].reduce((sum, blob) => sum + blob.bytes, 0))} in total. The emulator
          has not kept them. It keeps the files of the newest calls while the switch “pictures” is on.
        </p>
      )}
    </section>
  );
}

function BlobView({ call, blob, side, others = [] }: { call: Call; blob: Blobbed; side: string; others?: Blobbed[] }) {
  const [kind, setKind] = useState<"picture" | "model" | "file">("picture");
  const url = blobUrl(call, blob);
  const isWhole = blob.place === "request" || blob.place === "response";
  const caption = `${side}${isWhole ? "" : ` ${blob.place}`}, ${bytes(blob.bytes)}`;
  const failed = async () => {
    // The file is not a picture. A GLB file begins with glTF, and an OBJ file with its material or a vertex.
    const data = await fetch(url).then((answer) => (answer.ok ? answer.arrayBuffer() : null));
    const begin = data ? new TextDecoder().decode(data.slice(0, 7)) : "";
    setKind(/^(glTF|mtllib |v -?\d)/.test(begin) ? "model" : "file");
  };
  const texture = others.find((other) => other.place.includes("texture"));
  return (
    <figure>
      {kind === "picture" && <img src={url} alt={`Picture ${caption}`} loading="lazy" onError={() => void failed()} />}
      {kind === "model" && <Model url={url} texture={texture ? blobUrl(call, texture) : null} label={`Model ${caption}`} />}
      {kind === "file" && <div class="file">{blob.name.split(".").at(-1)}</div>}
      <figcaption>
        <span title={blob.sha256}>{caption}</span>
        <button
          type="button"
          class="small"
          onClick={() => void attempt(async () => download(await (await fetch(url)).blob(), blob.name))}
        >
          Save
        </button>
      </figcaption>
    </figure>
  );
}

function Headers({ pairs, label }: { pairs: Pairs; label: string }) {
  if (pairs.length === 0) return null;
  return (
    <details class="headers">
      <summary>
        {label} <span class="muted">{pairs.length}</span>
      </summary>
      <table>
        <tbody>
          {pairs.map(([name, value], index) => (
            <tr key={index}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function BodyView(props: { heading: string; headers: Pairs; given: Pairs; body: Body | null; file: string }) {
  const { body } = props;
  return (
    <section>
      <h3>
        {props.heading} {body && <span class="muted">{bytes(body.bytes)}</span>}
      </h3>
      <Headers pairs={props.given} label="Query" />
      <Headers pairs={props.headers} label="Headers" />
      {body?.kind === "json" && <JsonView value={body.json ?? null} file={props.file} />}
      {body?.fields && <JsonView value={body.fields} file={props.file} />}
      {body?.kind === "text" && (
        <>
          <Code text={body.text ?? ""} label={`${props.heading} body`} />
          {(body.text?.length ?? 0) < body.bytes - 64 && <p class="muted">The journal keeps only the first 4 kB of this text ({bytes(body.bytes)}).</p>}
        </>
      )}
      {body?.kind === "binary" && (
        <p class="muted">
          {body.content_type ?? "bytes"}, {bytes(body.bytes)}, SHA-256 <code title={body.sha256}>{short(body.sha256 ?? "", 16)}</code>
        </p>
      )}
      {!body && <p class="muted">No body.</p>}
    </section>
  );
}

function Repeat({ call }: { call: Call }) {
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [match, setMatch] = useState(() => JSON.stringify(matchOf(call), null, 1));
  const canReplay = kept.value?.calls.includes(call.number) ?? false;
  const check = () =>
    attempt(async () => {
      let parsed: Json;
      try {
        parsed = JSON.parse(match) as Json;
      } catch {
        throw new Refused(0, "The filter is not valid JSON.");
      }
      setVerdict(await send<Verdict>("POST", "/calls/verify", { match: parsed }));
    });
  return (
    <section>
      <h3>Repeat and verify</h3>
      <div class="row wrap">
        <Copy text={() => curlOf(call)} label="Copy as curl" done="Copied as a curl command." />
        <Copy text={() => verifyCommand(call)} label="Copy as verify command" done="Copied as a verify command." />
        <Copy text={() => verifyPython(call)} label="Copy as Python assertion" done="Copied as a Python assertion." />
        <button
          type="button"
          class="small"
          disabled={!canReplay}
          title={canReplay ? "Send the same bytes again" : "The emulator has not kept the bodies of this call."}
          onClick={() => void replay(call)}
        >
          Replay
        </button>
      </div>
      <details>
        <summary>Show as curl</summary>
        <Code text={curlOf(call)} label="curl command" />
      </details>
      <details>
        <summary>Verify now</summary>
        <label class="field">
          <span>Filter for the calls that a test expects (JSON)</span>
          <textarea class="mono" rows={6} value={match} onInput={(event) => setMatch(event.currentTarget.value)} />
        </label>
        <button type="button" onClick={() => void check()}>
          Verify
        </button>
        {verdict && (
          <div class={`note ${verdict.ok ? "good" : "error"}`}>
            <p>
              <b>{verdict.ok ? "Met" : "Not met"}</b> {verdict.message}
            </p>
            {verdict.near_misses.length > 0 && (
              <>
                <p class="muted">Calls that come closest to matching:</p>
                <Tree value={verdict.near_misses as unknown as Json} open={4} />
              </>
            )}
          </div>
        )}
      </details>
    </section>
  );
}

const BAD = new Set(["failed", "lost"]);

/** One task on one screen: its call, polls, webhook, pictures and cost. */
export function TaskView({ group }: { group: Group }) {
  const [task, setTask] = useState<Task | null>(null);
  const [deliveries, setDeliveries] = useState<Delivery[]>([]);
  const [costs, setCosts] = useState<Costs | null>(null);
  const count = group.others.length;
  const load = () => {
    get<Task>(`/tasks/${encodeURIComponent(group.task)}`).then(setTask, () => setTask(null));
    get<Delivery[]>(`/webhooks/deliveries${query({ task: group.task })}`).then(setDeliveries, () => setDeliveries([]));
    get<Costs>(`/costs${query({ credential: credential.value })}`).then(setCosts, () => setCosts(null));
    void loadKept();
  };
  useEffect(load, [group.task, count]);

  const { creation } = group;
  const polls = group.others.filter((call) => call.operation?.startsWith("check"));
  const body = creation.sent?.json as { src_file_id?: string } | undefined;
  const registration = calls.find((call) => JSON.stringify(call.answer?.json ?? "").includes(`"${body?.src_file_id}"`) && call.operation?.startsWith("create_file"));
  const uploadPath = registration ? pathOfUpload(registration, body?.src_file_id ?? "") : null;
  const upload = uploadPath ? [...calls].reverse().find((call) => call.path === uploadPath && call.status === 200) : undefined;
  const download_ = group.others.find((call) => call.operation === "download" && call.answer?.kind === "binary");
  const price = costs?.operations.find((each) => each.vendor === creation.vendor && each.operation === creation.operation);
  const share = price && price.calls > 0 ? price : null;
  const finish = () =>
    attempt(async () => {
      await send("POST", `/tasks/${encodeURIComponent(group.task)}/finish`, {});
      load();
    }, "The task ends when its work is done.");
  return (
    <>
      <div class="facts">
        <span class={`tag ${task?.state === "succeeded" ? "good" : task?.state === "failed" ? "bad" : ""}`}>{task?.state ?? "deleted"}</span>
        <code title={group.task}>{short(group.task, 20)}</code>
        {task && <span class="muted">as {task.credential}</span>}
        {task?.error && <A href={to("faults", { tab: "errors", q: task.error })}>{task.error}</A>}
        <span class="grow" />
        {task && !["succeeded", "failed"].includes(task.state) && (
          <button type="button" class="small accent" onClick={() => void finish()}>
            Finish
          </button>
        )}
      </div>
      <div class="beforeafter">
        {upload && <Pictures call={upload} heading="Before" />}
        {download_ && <Pictures call={download_} heading="After" />}
      </div>
      <section>
        <h3>What happened</h3>
        <ol class="timeline">
          {upload && <Step at={upload.real_started_at} what="photo uploaded" call={upload} />}
          <Step at={creation.real_started_at} what="task created" call={creation} />
          {polls.map((poll) => (
            <Step
              key={poll.number}
              at={poll.real_started_at}
              what={`poll: ${(poll.answer?.json as { data?: { task_status?: string } })?.data?.task_status ?? poll.status}`}
              call={poll}
            />
          ))}
          {deliveries.map((delivery) => (
            <li key={delivery.id} class={BAD.has(delivery.state) ? "bad" : ""}>
              <A href={to("tasks", { delivery: delivery.id })}>webhook {delivery.state}</A>{" "}
              <span class="muted">
                {plural(delivery.attempts.length, "attempt")} to {delivery.url}
                {delivery.reason ? `: ${delivery.reason}` : ""}
              </span>
            </li>
          ))}
          {group.others
            .filter((call) => call.operation === "download")
            .map((call) => (
              <Step key={call.number} at={call.real_started_at} what="result downloaded" call={call} />
            ))}
        </ol>
      </section>
      <section>
        <h3>Cost</h3>
        {task?.state === "failed" ? (
          <p>Nothing. A failed task is not billed.</p>
        ) : share ? (
          <p>
            <b>{plural(share.units / share.calls, "unit")}</b>
            {Object.entries(share.amounts).map(([currency, amount]) => (
              <span key={currency}>
                , {(Number(amount) / share.calls).toFixed(4)} {currency}
              </span>
            ))}{" "}
            <span class="muted">(the average of {plural(share.calls, "billed call")} of {share.operation})</span>
          </p>
        ) : (
          <p class="muted">Not billed yet.</p>
        )}
      </section>
      {task?.result && (
        <section>
          <h3>Result</h3>
          <Members value={task.result} />
        </section>
      )}
    </>
  );
}

function pathOfUpload(registration: Call, fileId: string): string | null {
  const files = (registration.answer?.json as { data?: { files?: { file_id: string; requests: { url: string }[] }[] } })?.data?.files;
  const url = files?.find((file) => file.file_id === fileId)?.requests[0]?.url;
  try {
    return url ? new URL(url).pathname : null;
  } catch {
    return null;
  }
}

function Step({ at, what, call }: { at: number; what: string; call: Call }) {
  const { credential: _, ...rest } = Object.fromEntries(params.value);
  return (
    <li class={call.status === null || call.status >= 400 ? "bad" : ""}>
      <A href={to(`live/${call.number}`, rest)}>{what}</A>{" "}
      <span class="muted">
        {new Date(at * 1000).toISOString().slice(11, 23)} · {duration(call.duration_ms)}
      </span>
      {call.fault && <span class="flag fault">fault</span>}
    </li>
  );
}
