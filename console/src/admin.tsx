// Clock, costs, credentials, lifetimes, snapshot, and the contract.
import { useEffect, useState } from "preact/hooks";
import { CONTROL, attempt, get, query, send } from "./api";
import { credential, health, known, params, remember, setParams, title, to, vendors } from "./state";
import { bytes, download, plural } from "./text";
import type { Costs, Fact, Mark, Reading } from "./types";
import { A, Chips, Copy, Delete, Empty, Inline, MarkTag, Page, Vendor, useInterval, useLoaded } from "./ui";

/* Clock */

function Ticking({ reading }: { reading: Reading }) {
  const [begun] = useState(() => performance.now());
  const [, setCount] = useState(0);
  useInterval(() => setCount((count) => count + 1), 250);
  const now = reading.frozen ? reading.now : reading.now + (performance.now() - begun) / 1000;
  const iso = new Date(now * 1000).toISOString();
  return (
    <p class="clock" role="timer" aria-live="off">
      <span>{iso.slice(0, 10)}</span>
      <b>{iso.slice(11, 19)}</b>
      <span>UTC</span>
    </p>
  );
}

const STEPS: [string, number][] = [
  ["1 min", 60],
  ["15 min", 900],
  ["2 hours", 7200],
  ["1 day", 86_400],
  ["30 days", 2_592_000],
];

export function Clock() {
  const scope = query({ credential: credential.value });
  const { data, again } = useLoaded(() => get<Reading>(`/clock${scope}`), scope);
  const others = useLoaded(() => Promise.all(known.value.map(async (name) => [name, await get<Reading>(`/clock${query({ credential: name })}`)] as const)), known.value.join());
  const [seconds, setSeconds] = useState("3600");
  const [when, setWhen] = useState("");
  const act = (name: string, body?: unknown) =>
    attempt(async () => {
      await send("POST", `/clock/${name}${scope}`, body);
      again();
      others.again();
    });
  useInterval(again, 5000);
  const own = (others.data ?? []).filter(([, reading]) => reading.own);
  return (
    <Page
      heading="Clock"
      lead={
        <>
          {credential.value ? (
            <>
              The clock of <b>{credential.value}</b>. {data?.own ? "It was set for this credential." : "It follows the default clock."}
            </>
          ) : (
            "The default clock, which all credentials without their own clock follow."
          )}{" "}
          It decides when URLs, files, tasks and units expire.
        </>
      }
    >
      {data && (
        <section class="panel clock-panel">
          <Ticking key={`${data.now}${data.frozen}`} reading={data} />
          <div class="row center">
            <span class={`tag ${data.frozen ? "busy" : "good"}`}>{data.frozen ? "frozen" : "running"}</span>
            {Math.abs(data.now - Date.now() / 1000) > 2 && <span class="muted">{offset(data.now - Date.now() / 1000)} the machine's clock</span>}
          </div>
          <div class="row wrap center">
            {data.frozen ? (
              <button type="button" class="accent" onClick={() => void act("run")}>
                Run
              </button>
            ) : (
              <button type="button" class="accent" onClick={() => void act("freeze")}>
                Freeze
              </button>
            )}
            <button type="button" disabled={!data.own} onClick={() => void attempt(() => send("DELETE", `/clock${scope}`)).then(() => (again(), others.again()))}>
              Reset
            </button>
          </div>
        </section>
      )}
      <div class="columns">
        <section class="panel">
          <h2>Advance</h2>
          <div class="row wrap">
            {STEPS.map(([text, step]) => (
              <button type="button" key={step} onClick={() => void act("advance", { seconds: step })}>
                + {text}
              </button>
            ))}
          </div>
          <form
            class="row"
            onSubmit={(event) => {
              event.preventDefault();
              void act("advance", { seconds: Number(seconds) });
            }}
          >
            <label class="inline grow">
              <span>Seconds</span>
              <input type="number" min={0} value={seconds} onInput={(event) => setSeconds(event.currentTarget.value)} />
            </label>
            <button type="submit">Advance</button>
          </form>
        </section>
        <section class="panel">
          <h2>Travel</h2>
          <form
            class="row wrap"
            onSubmit={(event) => {
              event.preventDefault();
              if (when) void act("travel", { to: when.length === 16 ? `${when}:00` : when });
            }}
          >
            <label class="inline grow">
              <span>To, in UTC</span>
              <input type="datetime-local" step={1} value={when} onInput={(event) => setWhen(event.currentTarget.value)} />
            </label>
            <button type="submit" disabled={!when}>
              Travel
            </button>
          </form>
        </section>
      </div>
      {own.length > 0 && (
        <section class="panel">
          <h2>Credentials with their own clock</h2>
          <table class="data">
            <tbody>
              {own.map(([name, reading]) => (
                <tr key={name}>
                  <th scope="row">
                    <A href={`${location.pathname}?credential=${encodeURIComponent(name)}`}>{name}</A>
                  </th>
                  <td>{reading.iso.slice(0, 19).replace("T", " ")} UTC</td>
                  <td>{reading.frozen ? "frozen" : "running"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Page>
  );
}

function offset(seconds: number): string {
  const days = Math.abs(seconds) / 86_400;
  const text = days > 0.99 ? `${days.toFixed(1)} days` : `${(Math.abs(seconds) / 3600).toFixed(1)} hours`;
  return `${text} ${seconds > 0 ? "ahead of" : "behind"}`;
}

/* Costs */

export function CostsView() {
  const [since, setSince] = useState<"" | "true">("");
  const path = `/costs${query({ credential: credential.value, since_start: since })}`;
  const { data, again } = useLoaded(() => get<Costs>(path), path);
  useInterval(again, 2000);
  const totals = Object.entries(data?.totals ?? {});
  const calls = data?.operations.reduce((sum, each) => sum + each.calls, 0) ?? 0;
  const units = data?.operations.reduce((sum, each) => sum + each.units, 0) ?? 0;
  return (
    <Page
      heading="Costs"
      lead={`What the real vendors would bill ${credential.value ? `to ${credential.value}` : "to all credentials"}.`}
      actions={<Delete label="Reset to zero" ask={`Reset the costs of ${credential.value || "all credentials"} to zero?`} verb="Reset" action={() => send("DELETE", `/costs${query({ credential: credential.value })}`)} then={again} />}
    >
      <div class="tiles">
        {totals.map(([currency, amount]) => (
          <div class="tile" key={currency}>
            <b>{amount}</b>
            <span>{currency}</span>
          </div>
        ))}
        <div class="tile">
          <b>{calls}</b>
          <span>billed calls</span>
        </div>
        <div class="tile">
          <b>{units}</b>
          <span>units</span>
        </div>
      </div>
      <Chips
        label="Count"
        value={since}
        options={[
          ["", "Since the last reset"],
          ["true", "Since the server started"],
        ]}
        change={setSince}
      />
      {data && data.operations.length === 0 ? (
        <Empty title="Nothing was billed" />
      ) : (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Costs by operation">
          <table class="data">
            <thead>
              <tr>
                <th scope="col">vendor</th>
                <th scope="col">operation</th>
                <th scope="col" class="num">
                  calls
                </th>
                <th scope="col" class="num">
                  units
                </th>
                <th scope="col" class="num">
                  cost
                </th>
              </tr>
            </thead>
            <tbody>
              {data?.operations.map((each) => (
                <tr key={`${each.vendor}/${each.operation}`}>
                  <td>
                    <Vendor name={each.vendor} />
                  </td>
                  <td>
                    <A href={to("live", { vendor: each.vendor, operation: each.operation })}>{each.operation}</A>
                  </td>
                  <td class="num">{each.calls}</td>
                  <td class="num">{each.units || "—"}</td>
                  <td class="num">
                    {Object.entries(each.amounts)
                      .map(([currency, amount]) => `${amount} ${currency}`)
                      .join(", ") || <span class="muted">no price set</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {(data?.unpriced.length ?? 0) > 0 && (
        <p class="muted">
          The vendors publish no prices. To see amounts, set prices with <code>FACE_EMULATOR_VENDORS__&lt;VENDOR&gt;__PRICES</code>.
        </p>
      )}
    </Page>
  );
}

/* Credentials and lifetimes */

const STATES = ["valid", "revoked", "expired", "restricted", "no_balance", "other_region"] as const;

export function Credentials() {
  const { data, again } = useLoaded(() => get<{ credential: string; state: string }[]>("/credentials"), "");
  const [name, setName] = useState("");
  const [state, setState] = useState<string>("expired");
  const put = (key: string, value: string) =>
    attempt(async () => {
      await send("PUT", "/credentials", { credential: key, state: value });
      remember([key]);
      again();
    });
  return (
    <Page heading="Credentials and lifetimes" lead="A credential without a state is valid, unless FACE_EMULATOR_STRICT is true.">
      <section class="panel">
        <h2>States</h2>
        <form
          class="row wrap"
          onSubmit={(event) => {
            event.preventDefault();
            void put(name, state).then(() => setName(""));
          }}
        >
          <label class="field grow">
            <span>Credential, as clients send it</span>
            <input required value={name} onInput={(event) => setName(event.currentTarget.value)} placeholder="my-key" />
          </label>
          <label class="field">
            <span>State</span>
            <select value={state} onChange={(event) => setState(event.currentTarget.value)}>
              {STATES.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <button type="submit" class="accent">
            Set
          </button>
        </form>
        {(data ?? []).length > 0 && (
          <table class="data">
            <tbody>
              {data?.map((each) => (
                <tr key={each.credential}>
                  <th scope="row" class="break">
                    {each.credential}
                  </th>
                  <td>
                    <select aria-label={`State of ${each.credential}`} value={each.state} onChange={(event) => void put(each.credential, event.currentTarget.value)}>
                      {STATES.map((value) => (
                        <option key={value}>{value}</option>
                      ))}
                    </select>
                  </td>
                  <td class="end">
                    <button
                      type="button"
                      class="danger quiet"
                      onClick={() => void attempt(() => send("DELETE", `/credentials/${encodeURIComponent(each.credential)}`)).then(again)}
                    >
                      Remove
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      <Lifetimes />
    </Page>
  );
}

type Life = Record<string, Record<string, number | null>>;

function Lifetimes() {
  const scope = query({ credential: credential.value });
  const { data, again } = useLoaded(() => get<Life>(`/lifetimes${scope}`), scope);
  const put = (vendor: string, name: string, text: string) =>
    attempt(async () => {
      await send("PUT", `/lifetimes${scope}`, { [vendor]: { [name]: text === "" ? null : Number(text) } });
      again();
    });
  return (
    <section class="panel">
      <h2 class="row">
        <span class="grow">{credential.value ? `Lifetimes of ${credential.value}` : "Default lifetimes"}</span>
        <button type="button" class="small" onClick={() => void attempt(() => send("DELETE", `/lifetimes${scope}`)).then(again)}>
          Reset
        </button>
      </h2>
      <p class="muted">Measured by the emulator's clock. An empty field means no limit.</p>
      {Object.entries(data ?? {}).map(([vendor, values]) => (
        <fieldset key={vendor}>
          <legend>
            <Vendor name={vendor} />
          </legend>
          <div class="fields">
            {Object.entries(values).map(([name, value]) => (
              <label class="field" key={name}>
                <span>{name}</span>
                <input type="number" min={0} step="any" value={value ?? ""} placeholder="no limit" onChange={(event) => void put(vendor, name, event.currentTarget.value)} />
              </label>
            ))}
          </div>
        </fieldset>
      ))}
    </section>
  );
}

/* Snapshot */

export function Snapshot() {
  const [saved, setSaved] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const save = () =>
    attempt(async () => {
      const answer = await fetch(`${CONTROL}/snapshot`);
      const blob = await answer.blob();
      const name = `face-emulator-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.zip`;
      download(blob, name);
      setSaved(`${name}, ${bytes(blob.size)}`);
    });
  const now = health.value;
  return (
    <Page heading="Snapshot" lead="A snapshot is a file with all stored state: tasks, files, units, credentials, clocks and rules.">
      <div class="columns">
        <section class="panel">
          <h2>Save</h2>
          <p>Download the state of the emulator, for example to share it or to use it as the start of a test.</p>
          <button type="button" class="accent" onClick={() => void save()}>
            Save a snapshot
          </button>
          {saved && <p class="muted">Saved {saved}.</p>}
        </section>
        <section class="panel">
          <h2>Restore</h2>
          <p>Replace all state of all credentials with a snapshot.</p>
          <label class="field">
            <span>Snapshot file</span>
            <input type="file" accept=".zip" onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)} />
          </label>
          {file && <Delete label={`Restore ${file.name}`} verb="Replace the state" ask="Replace all state of the emulator with this snapshot?" done="The snapshot is restored." action={() => send("PUT", "/snapshot", file)} />}
        </section>
        <section class="panel">
          <h2>Reset</h2>
          <p>
            Delete files, tasks, units, rules, endpoints, costs and calls{credential.value ? ` of ${credential.value}` : " of all credentials"}. The counters for ids start again, so that the same calls get the same responses as before.
          </p>
          <Delete
            label={credential.value ? `Reset ${credential.value}` : "Reset everything"}
            verb="Reset"
            ask={credential.value ? `Delete everything of ${credential.value}?` : "Delete everything of all credentials?"}
            done="The reset is done."
            action={() => send("POST", "/reset", credential.value ? { credential: credential.value } : {})}
          />
        </section>
      </div>
      {now && (
        <section class="panel">
          <h2>This emulator</h2>
          <dl class="pairs">
            <dt>version</dt>
            <dd>{now.version}</dd>
            {Object.entries(now.runs).map(([name, text]) => (
              <>
                <dt key={name}>{name}</dt>
                <dd>{text}</dd>
              </>
            ))}
            <dt>TLS</dt>
            <dd>{now.tls?.url ?? "off"}</dd>
          </dl>
        </section>
      )}
    </Page>
  );
}

/* Contract */

const ORDER: readonly (Mark | "")[] = ["", "CONFIRMED", "OBSERVED", "GUESS"];

const SHOWN_AT_ONCE = 60;

export function Contract() {
  const { data } = useLoaded(() => get<Fact[]>("/ledger"), "");
  const vendor = params.value.get("vendor") ?? "";
  const mark = (params.value.get("mark") ?? "") as Mark | "";
  const text = (params.value.get("q") ?? "").toLowerCase();
  const [count, setCount] = useState(SHOWN_AT_ONCE);
  const facts = data ?? [];
  const ofVendor = facts.filter((fact) => (!vendor || fact.vendor === vendor) && (!text || `${fact.fact} ${fact.source} ${fact.section} ${fact.test}`.toLowerCase().includes(text)));
  const found = ofVendor.filter((fact) => !mark || fact.mark === mark);
  useEffect(() => setCount(SHOWN_AT_ONCE), [vendor, mark, text]);
  let section = "";
  return (
    <Page heading="Contract" lead="The ledgers list every behaviour that the emulator copies, with its source and the test that checks it. Guesses may be wrong.">
      <div class="filters">
        <input id="find" type="search" placeholder="Find a fact" aria-label="Find a fact" value={params.value.get("q") ?? ""} onInput={(event) => setParams({ q: event.currentTarget.value })} />
        <Chips label="Vendor" value={vendor} options={[["", "All"], ...vendors.value.map((name) => [name, title(name)] as const)]} change={(next) => setParams({ vendor: next })} />
        <Chips
          label="Mark"
          value={mark}
          options={ORDER.map((each) => [each, `${each === "" ? "All marks" : each === "GUESS" ? "Guesses" : each.toLowerCase()} · ${each ? ofVendor.filter((fact) => fact.mark === each).length : ofVendor.length}`] as const)}
          change={(next) => setParams({ mark: next })}
        />
      </div>
      {data && found.length === 0 && <Empty title="No fact matches" />}
      <div class="facts-list">
        {found.slice(0, count).map((fact, index) => {
          const heading = `${fact.vendor}/${fact.section}`;
          const isNew = heading !== section;
          section = heading;
          return (
            <>
              {isNew && (
                <h2 key={heading}>
                  <Vendor name={fact.vendor} /> {fact.section}
                </h2>
              )}
              <article class={`fact ${fact.mark.toLowerCase()}`} key={index}>
                <MarkTag mark={fact.mark} />
                <div>
                  <p>
                    <Inline text={fact.fact} />
                  </p>
                  <p class="muted small-text">
                    <Inline text={fact.source} />
                  </p>
                  <p class="muted small-text test">
                    <Inline text={fact.test} /> <Copy text={fact.test.replaceAll("`", "")} label="Copy test" />
                  </p>
                </div>
              </article>
            </>
          );
        })}
      </div>
      {found.length > count && (
        <button type="button" onClick={() => setCount(count + 200)}>
          Show more: {plural(found.length - count, "fact")}
        </button>
      )}
    </Page>
  );
}
