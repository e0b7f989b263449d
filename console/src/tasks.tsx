// Tasks, webhook endpoints and deliveries.
import { useState } from "preact/hooks";
import { attempt, get, query, send } from "./api";
import { credential, errors, params, setParams, title, to, vendors } from "./state";
import { duration, moment, plural, short } from "./text";
import type { Delivery, Endpoint, Progression, Task } from "./types";
import { A, Chips, Code, Copy, Delete, Empty, Members, Page, useInterval, useLoaded } from "./ui";

type Tab = "tasks" | "webhooks" | "deliveries";

export function Tasks() {
  const tab: Tab = params.value.has("delivery") ? "deliveries" : ((params.value.get("tab") as Tab | null) ?? "tasks");
  const scope = query({ credential: credential.value });
  const tasks = useLoaded(() => get<Task[]>(`/tasks${scope}`), scope);
  const endpoints = useLoaded(() => get<Endpoint[]>(`/webhooks/endpoints${scope}`), scope);
  const deliveries = useLoaded(() => get<Delivery[]>(`/webhooks/deliveries${scope}`), scope);
  useInterval(() => {
    tasks.again();
    deliveries.again();
    endpoints.again();
  }, 1500);
  return (
    <Page heading="Tasks and webhooks" lead="The actual states of tasks. Clients may still see earlier states. This page does not poll the tasks.">
      <Chips
        label="Show"
        value={tab}
        options={[
          ["tasks", `Tasks · ${tasks.data?.length ?? 0}`],
          ["webhooks", `Endpoints · ${endpoints.data?.length ?? 0}`],
          ["deliveries", `Deliveries · ${deliveries.data?.length ?? 0}`],
        ]}
        change={(next) => setParams({ tab: next, delivery: null }, false)}
      />
      {tab === "tasks" && (
        <>
          <Progress />
          <TaskTable tasks={tasks.data ?? []} deliveries={deliveries.data ?? []} again={tasks.again} />
        </>
      )}
      {tab === "webhooks" && <Endpoints endpoints={endpoints.data ?? []} again={endpoints.again} />}
      {tab === "deliveries" && <Deliveries deliveries={deliveries.data ?? []} again={deliveries.again} />}
    </Page>
  );
}

const MODES: [Progression["mode"], string][] = [
  ["real", "when their work is done"],
  ["immediate", "at the first poll"],
  ["after_polls", "after a number of polls"],
  ["after_seconds", "after a number of seconds"],
  ["manual", "when you finish them here"],
];

function Progress() {
  const scope = query({ credential: credential.value });
  const { data, again } = useLoaded(() => get<Progression>(`/progression${scope}`), scope);
  const set = (mode: string, number = 3) =>
    attempt(async () => {
      const details = mode === "after_polls" ? { polls: number } : mode === "after_seconds" ? { seconds: number } : {};
      await send("PUT", `/progression${scope}`, { mode, ...details });
      again();
    });
  if (!data) return null;
  const number = data.polls ?? data.seconds;
  return (
    <section class="panel row wrap">
      <label class="inline">
        <span>New tasks appear finished</span>
        <select value={data.mode} onChange={(event) => void set(event.currentTarget.value)}>
          {MODES.map(([mode, text]) => (
            <option key={mode} value={mode}>
              {text}
            </option>
          ))}
        </select>
      </label>
      {number !== null && (
        <label class="inline">
          <span>{data.mode === "after_polls" ? "Polls" : "Seconds"}</span>
          <input type="number" min={0} value={number} onChange={(event) => void set(data.mode, Number(event.currentTarget.value))} />
        </label>
      )}
      <button type="button" class="small" onClick={() => void attempt(() => send("DELETE", `/progression${scope}`)).then(again)}>
        Use the default
      </button>
    </section>
  );
}

function TaskTable({ tasks, deliveries, again }: { tasks: Task[]; deliveries: Delivery[]; again: () => void }) {
  const [open, setOpen] = useState("");
  const [error, setError] = useState("");
  const ofTasks = errors.value.filter((entry) => entry.of_task);
  if (tasks.length === 0) {
    return (
      <Empty title="No tasks">
        <p>
          Only Perfect Corp has tasks. To create one, reshape a face in the <A href={to("play/perfectcorp")}>playground</A>.
        </p>
      </Empty>
    );
  }
  const finish = (task: Task) =>
    attempt(async () => {
      await send("POST", `/tasks/${encodeURIComponent(task.id)}/finish`, error ? { error } : {});
      again();
    }, "The task ends when its work is done.");
  const shown = [...tasks].reverse();
  const waiting = tasks.some((task) => !["succeeded", "failed"].includes(task.state));
  return (
    <>
      {waiting && (
        <label class="inline">
          <span>The button “Finish” ends a task with</span>
          <select value={error} onChange={(event) => setError(event.currentTarget.value)}>
            <option value="">its own result</option>
            {ofTasks.map((entry) => (
              <option key={`${entry.vendor}/${entry.name}`}>{entry.name}</option>
            ))}
          </select>
        </label>
      )}
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Tasks">
        <table class="data">
          <thead>
            <tr>
              <th scope="col">state</th>
              <th scope="col">task</th>
              <th scope="col">kind</th>
              <th scope="col">credential</th>
              <th scope="col">created</th>
              <th scope="col">took</th>
              <th scope="col">webhooks</th>
              <th scope="col">
                <span class="hidden">actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, 200).map((task) => {
              const mine = deliveries.filter((delivery) => delivery.task === task.id);
              return (
                <>
                  <tr key={task.id}>
                    <td>
                      <span class={`tag ${task.state === "succeeded" ? "good" : task.state === "failed" ? "bad" : "busy"}`}>{task.state}</span>
                    </td>
                    <td>
                      <button type="button" class="link mono" aria-expanded={open === task.id} title={task.id} onClick={() => setOpen(open === task.id ? "" : task.id)}>
                        {short(task.id)}
                      </button>
                    </td>
                    <td>{task.kind}</td>
                    <td>{task.credential}</td>
                    <td>{moment(task.created_at)}</td>
                    <td>{task.finished_at === null ? "—" : duration((task.finished_at - task.created_at) * 1000)}</td>
                    <td>{mine.length ? <A href={to("tasks", { tab: "deliveries", task: task.id })}>{plural(mine.length, "delivery").replace("deliverys", "deliveries")}</A> : "—"}</td>
                    <td>
                      {!["succeeded", "failed"].includes(task.state) && (
                        <button type="button" class="small accent" onClick={() => void finish(task)}>
                          Finish
                        </button>
                      )}
                    </td>
                  </tr>
                  {open === task.id && (
                    <tr key={`${task.id}+`} class="opened">
                      <td colSpan={8}>
                        <Members value={task as never} />
                      </td>
                    </tr>
                  )}
                </>
              );
            })}
          </tbody>
        </table>
      </div>
      {shown.length > 200 && <p class="muted">The newest 200 of {shown.length} tasks are shown. Choose a credential to see fewer.</p>}
    </>
  );
}

function Endpoints({ endpoints, again }: { endpoints: Endpoint[]; again: () => void }) {
  const [url, setUrl] = useState("");
  const [vendor, setVendor] = useState("");
  const [secret, setSecret] = useState("");
  const [added, setAdded] = useState<Endpoint | null>(null);
  const add = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      const body = { url, ...(vendor ? { vendor } : {}), ...(secret ? { secret } : {}) };
      setAdded(await send<Endpoint>("POST", `/webhooks/endpoints${query({ credential: credential.value })}`, body));
      setUrl("");
      setSecret("");
      again();
    });
  };
  return (
    <>
      <form class="panel row wrap" onSubmit={add}>
        <label class="field grow">
          <span>URL of your receiver</span>
          <input type="url" required placeholder="http://127.0.0.1:9000/hook" value={url} onInput={(event) => setUrl(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Vendor</span>
          <select value={vendor} onChange={(event) => setVendor(event.currentTarget.value)}>
            <option value="">all vendors</option>
            {vendors.value.map((name) => (
              <option key={name} value={name}>
                {title(name)}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Secret</span>
          <input placeholder="generated" value={secret} onInput={(event) => setSecret(event.currentTarget.value)} />
        </label>
        <button type="submit" class="accent">
          Add endpoint
        </button>
      </form>
      <PlanPanel />
      {added && (
        <div class="note good">
          <p>Give this secret to your receiver. It is not shown again.</p>
          <Code text={added.secret} label="Secret of the endpoint" />
        </div>
      )}
      {endpoints.length === 0 ? (
        <Empty title="No endpoints">
          <p>An endpoint receives a signed message when a task ends.</p>
        </Empty>
      ) : (
        <div class="cards">
          {endpoints.map((endpoint) => (
            <article class="card" key={endpoint.id}>
              <header>
                <b class="break">{endpoint.url}</b>
                <span class="grow" />
                {endpoint.configured ? (
                  <span class="tag">from the settings</span>
                ) : (
                  <Delete label="Remove" ask={`Remove ${endpoint.url}? Its unfinished deliveries fail.`} action={() => send("DELETE", `/webhooks/endpoints/${endpoint.id}`)} then={again} />
                )}
              </header>
              <p class="numbers">
                <span>{endpoint.credential ?? "all credentials"}</span>
                <span>{endpoint.vendor ? title(endpoint.vendor) : "all vendors"}</span>
                <code>{endpoint.secret}</code>
              </p>
              {endpoint.disabled && <p class="note error">Disabled: {endpoint.disabled}</p>}
            </article>
          ))}
        </div>
      )}
    </>
  );
}

interface Plan {
  polls: number | null;
  webhooks: string[] | null;
}

interface Planned {
  plan: Plan;
  tasks: { task: string; steps: string[] }[];
}

const ORDERS: [string, string[] | null][] = [
  ["as usual (no plan)", null],
  ["before the create call returns", ["before_creation"]],
  ["before the poll that reports the end", ["before_end"]],
  ["after the poll that reports the end", ["after_end"]],
  ["twice: before and after the end", ["before_end", "after_end"]],
  ["never", []],
];

/** The plan of the chosen credential: a scripted order of polls and webhooks. */
function PlanPanel() {
  const name = credential.value;
  const scope = query({ credential: name });
  // The request fails for a credential without a plan, so send it only when the panel is open.
  const [isOpen, setOpen] = useState(false);
  const load = () => (name && isOpen ? get<Planned>(`/webhooks/plan${scope}`).catch(() => null) : Promise.resolve(null));
  const { data, again } = useLoaded(load, `${scope}${isOpen}`);
  useInterval(() => data && again(), 2000);
  if (!name) {
    return <p class="muted">Choose a credential at the top to script the order of its polls and webhooks.</p>;
  }
  const plan = data?.plan ?? { polls: null, webhooks: null };
  // A plan needs both the polls and the order of the webhooks. Choosing no order removes the plan.
  const set = (polls: number, webhooks: string[] | null) =>
    attempt(() => (webhooks ? send("PUT", `/webhooks/plan${scope}`, { polls, webhooks }) : send("DELETE", `/webhooks/plan${scope}`))).then(again);
  const order = ORDERS.findIndex(([, hooks]) => JSON.stringify(hooks) === JSON.stringify(plan.webhooks));
  return (
    <details class="panel" open={isOpen} onToggle={(event) => setOpen((event.target as HTMLDetailsElement).open)}>
      <summary>Plan for {name}: the order of polls and webhooks</summary>
      <div class="row wrap">
        <label class="inline">
          <span>Polls that report a running task</span>
          <input
            type="number"
            min={0}
            max={20}
            placeholder="as usual"
            value={plan.polls ?? ""}
            onChange={(event) => void set(Number(event.currentTarget.value), plan.webhooks ?? ["after_end"])}
          />
        </label>
        <label class="inline">
          <span>Webhooks are sent</span>
          <select value={order} onChange={(event) => void set(plan.polls ?? 1, ORDERS[Number(event.currentTarget.value)]?.[1] ?? null)}>
            {ORDERS.map(([text], index) => (
              <option key={text} value={index}>
                {text}
              </option>
            ))}
          </select>
        </label>
      </div>
      {data?.tasks.map((each) => (
        <p key={each.task} class="small-text">
          <code title={each.task}>{short(each.task)}</code> <span class="muted">{each.steps.join(" → ").replaceAll("_", " ")}</span>
        </p>
      ))}
    </details>
  );
}

const GOOD: Record<Delivery["state"], string> = { delivered: "good", failed: "bad", lost: "bad", prepared: "", held: "busy", waiting: "busy" };

function Deliveries({ deliveries, again }: { deliveries: Delivery[]; again: () => void }) {
  const wanted = params.value.get("delivery");
  const task = params.value.get("task");
  const shown = [...deliveries].reverse().filter((each) => (!wanted || each.id === wanted) && (!task || each.task === task));
  const redeliver = (delivery: Delivery) =>
    attempt(async () => {
      await send("POST", `/webhooks/deliveries/${delivery.id}/replay`);
      again();
    }, "Sent again.");
  return (
    <>
      {(wanted || task) && (
        <p>
          <button type="button" class="small" onClick={() => setParams({ delivery: null, task: null, tab: "deliveries" })}>
            Show all deliveries
          </button>
        </p>
      )}
      {shown.length === 0 && (
        <Empty title="No deliveries">
          <p>Add an endpoint. When a task ends, its webhook is listed here with every attempt.</p>
        </Empty>
      )}
      <div class="cards wide">
        {shown.slice(0, 100).map((delivery) => (
          <article class="card" key={delivery.id}>
            <header>
              <span class={`tag ${GOOD[delivery.state]}`}>{delivery.state}</span>
              <b class="break">{delivery.url}</b>
              <span class="grow" />
              <button type="button" class="small accent" disabled={delivery.body === null} onClick={() => void redeliver(delivery)}>
                Replay
              </button>
            </header>
            <p class="numbers">
              <span>{title(delivery.vendor)}</span>
              <span>{delivery.credential}</span>
              <code title={delivery.task}>task {short(delivery.task)}</code>
              {delivery.next_at && <span>next attempt {moment(delivery.next_at)}</span>}
            </p>
            {delivery.reason && <p class="note error">{delivery.reason}</p>}
            {delivery.fault && (
              <div class="note fault">
                <Members value={delivery.fault} />
              </div>
            )}
            {delivery.attempts.length > 0 && (
              <ol class="timeline">
                {delivery.attempts.map((each) => (
                  <li key={each.number} class={each.error || (each.status ?? 0) >= 300 ? "bad" : ""}>
                    attempt {each.number}
                    {each.replay ? " (sent again)" : ""}: <b>{each.status ?? each.error}</b>{" "}
                    <span class="muted">
                      {moment(each.at)}
                      {each.ms !== null && ` · ${duration(each.ms)}`}
                    </span>
                  </li>
                ))}
              </ol>
            )}
            {delivery.body !== null && (
              <details>
                <summary>Message {delivery.webhook_id}</summary>
                <Code text={delivery.body} label="Body of the message" />
                <Copy text={`face-emulator webhooks replay ${delivery.id} --url ${location.origin}`} label="Copy as replay command" />
              </details>
            )}
          </article>
        ))}
      </div>
      {shown.length > 100 && <p class="muted">The newest 100 of {shown.length} deliveries are shown.</p>}
    </>
  );
}
