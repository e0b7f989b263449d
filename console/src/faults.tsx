// Fault rules, errors, effects and scenarios.
import { useState } from "preact/hooks";
import { Refused, attempt, get, notify, query, send } from "./api";
import { credential, errors, operations, params, setParams, title, vendors } from "./state";
import { plural } from "./text";
import type { ErrorEntry, Json, Rule } from "./types";
import { Chips, Copy, Delete, Empty, Inline, MarkTag, Members, Page, Switch, Vendor, useInterval, useLoaded } from "./ui";

type Tab = "rules" | "errors" | "effects" | "scenarios";

export function Faults() {
  const tab = (params.value.get("tab") as Tab | null) ?? "rules";
  const rules = useLoaded(() => get<Rule[]>(`/faults${query({ credential: credential.value })}`), credential.value);
  useInterval(rules.again, 2000);
  const active = rules.data ?? [];
  return (
    <Page
      heading="Faults and scenarios"
      lead={credential.value ? `New rules apply to ${credential.value}.` : "New rules apply to all credentials. To limit them to one credential, choose it at the top."}
      actions={
        active.length > 0 && (
          <Delete
            label="Remove all rules"
            ask={credential.value ? `Remove all rules of ${credential.value}?` : "Remove all rules of all credentials?"}
            action={() => send("DELETE", `/faults${query({ credential: credential.value })}`)}
            then={rules.again}
          />
        )
      }
    >
      <Chips
        label="Show"
        value={tab}
        options={[
          ["rules", `Active rules · ${active.length}`],
          ["errors", `Errors · ${errors.value.length}`],
          ["effects", "Effects"],
          ["scenarios", "Scenarios"],
        ]}
        change={(next) => setParams({ tab: next, q: null, vendor: null }, false)}
      />
      {tab === "rules" && <Rules rules={active} again={rules.again} />}
      {tab === "errors" && <Errors rules={active} again={rules.again} />}
      {tab === "effects" && <Effects rules={active} again={rules.again} />}
      {tab === "scenarios" && <Scenarios rules={active} again={rules.again} />}
    </Page>
  );
}

function effectName(rule: Rule): string {
  const { effect } = rule.rule;
  if (typeof effect === "string") return effect;
  if (typeof effect.error === "string") return effect.error;
  return Object.keys(effect).join(" + ");
}

function left(rule: Rule): string {
  if (rule.rule.count) return `${rule.rule.count - rule.fired} of ${rule.rule.count} left`;
  return "no limit";
}

function Rules({ rules, again }: { rules: Rule[]; again: () => void }) {
  return (
    <>
      {rules.length === 0 ? (
        <Empty title="No rule is active">
          <p>Turn on an error or an effect, load a scenario, or write a rule below.</p>
        </Empty>
      ) : (
        <div class="cards">
          {rules.map((rule) => (
            <article class="card" key={rule.id}>
              <header>
                <b>{effectName(rule)}</b>
                {rule.rule.scenario && <span class="tag">{rule.rule.scenario}</span>}
                <span class="grow" />
                <button type="button" class="danger quiet" onClick={() => void attempt(() => send("DELETE", `/faults/${rule.id}`)).then(again)}>
                  Remove
                </button>
              </header>
              <p class="numbers">
                <span>
                  <b>{rule.fired}</b> fired
                </span>
                <span>
                  <b>{rule.matched}</b> matched
                </span>
                <span>{left(rule)}</span>
                {rule.rule.ttl_s && <span>expires after {rule.rule.ttl_s} s</span>}
                <code>{rule.id}</code>
              </p>
              <Members value={{ match: rule.rule.match ?? {}, effect: rule.rule.effect as Json }} />
            </article>
          ))}
        </div>
      )}
      <Custom again={again} />
    </>
  );
}

const EXAMPLE = `{
  "match": {"vendor": "perfectcorp", "operation": "create_reshape", "every": 2},
  "effect": {"latency": {"between": [0.5, 2]}},
  "count": 5
}`;

function Custom({ again }: { again: () => void }) {
  const [text, setText] = useState(EXAMPLE);
  const add = () =>
    attempt(async () => {
      let rule: { match?: Record<string, Json> };
      try {
        rule = JSON.parse(text);
      } catch {
        throw new Refused(0, "The rule is not valid JSON.");
      }
      if (credential.value && !rule.match?.credential) rule.match = { ...rule.match, credential: credential.value };
      await send("POST", "/faults", rule);
      again();
    }, "The rule is active.");
  return (
    <details class="panel">
      <summary>Write a rule</summary>
      <label class="field">
        <span>Rule as JSON, as for POST /_emulator/faults</span>
        <textarea class="mono" rows={7} value={text} onInput={(event) => setText(event.currentTarget.value)} spellcheck={false} />
      </label>
      <button type="button" class="accent" onClick={() => void add()}>
        Add the rule
      </button>
    </details>
  );
}

/** Return the active rule that a switch of this page has added, if there is one. */
function ruleOf(rules: Rule[], effect: string, vendor: string | null): Rule | undefined {
  return rules.find(
    (rule) =>
      !rule.rule.scenario &&
      (vendor === null || rule.rule.match?.vendor === vendor) &&
      (rule.rule.effect === effect || (typeof rule.rule.effect === "object" && rule.rule.effect.error === effect)) &&
      (credential.value === "" || rule.rule.match?.credential === credential.value),
  );
}

function useCount(): [number | null, preact.JSX.Element] {
  const [count, setCount] = useState<string>("");
  return [
    count ? Number(count) : null,
    <label class="inline">
      <span>New rules fire</span>
      <select value={count} onChange={(event) => setCount(event.currentTarget.value)}>
        <option value="">for every call</option>
        <option value="1">once</option>
        <option value="3">3 times</option>
        <option value="10">10 times</option>
      </select>
    </label>,
  ];
}

function Errors({ rules, again }: { rules: Rule[]; again: () => void }) {
  const vendor = params.value.get("vendor") ?? "";
  const text = (params.value.get("q") ?? "").toLowerCase();
  const [count, picker] = useCount();
  const found = errors.value.filter(
    (entry) =>
      (!vendor || entry.vendor === vendor) &&
      (!text || `${entry.name} ${entry.status} ${entry.text} ${entry.when} ${entry.operations.join(" ")}`.toLowerCase().includes(text)),
  );
  return (
    <>
      <div class="filters">
        <input
          type="search"
          placeholder="Find an error"
          aria-label="Find an error"
          value={params.value.get("q") ?? ""}
          onInput={(event) => setParams({ q: event.currentTarget.value })}
        />
        <Chips label="Vendor" value={vendor} options={[["", "All"], ...vendors.value.map((name) => [name, title(name)] as const)]} change={(next) => setParams({ vendor: next })} />
        {picker}
      </div>
      <p class="muted">
        {plural(found.length, "error")}. To inject an error, turn on its switch to add a rule, or let the client send a header or a special credential.
      </p>
      <div class="errors">
        {found.map((entry) => (
          <ErrorCard key={`${entry.vendor}/${entry.name}`} entry={entry} rule={ruleOf(rules, entry.name, entry.vendor)} count={count} again={again} />
        ))}
      </div>
    </>
  );
}

function ErrorCard({ entry, rule, count, again }: { entry: ErrorEntry; rule: Rule | undefined; count: number | null; again: () => void }) {
  const change = (on: boolean) =>
    attempt(async () => {
      if (!on && rule) await send("DELETE", `/faults/${rule.id}`);
      else {
        const match = { ...entry.by_rule.match, ...(credential.value ? { credential: credential.value } : {}) };
        await send("POST", "/faults", { ...entry.by_rule, match, ...(count ? { count } : {}) });
      }
      again();
    });
  return (
    <article class={`card error-card ${rule ? "on" : ""}`}>
      <header>
        <Switch on={rule !== undefined} label={`Inject ${entry.name} of ${title(entry.vendor)}`} change={(on) => void change(on)} />
        <b>{entry.name}</b>
        <span class={`status ${entry.of_task ? "" : entry.status >= 500 ? "bad" : "warn"}`}>{entry.of_task ? "task" : entry.status}</span>
        <MarkTag mark={entry.mark} />
        <span class="grow" />
        <Vendor name={entry.vendor} />
      </header>
      <p>
        <Inline text={entry.when} />
      </p>
      <p class="mono muted small-text">{entry.text}</p>
      {rule && (
        <p class="numbers">
          <span>
            <b>{rule.fired}</b> fired
          </span>
          <span>
            <b>{rule.matched}</b> matched
          </span>
          <span>{left(rule)}</span>
        </p>
      )}
      <footer class="row wrap">
        <span class="muted">{entry.by_nature ? "also occurs without a fault" : "occurs only as a fault"}</span>
        <span class="grow" />
        {entry.in_band && (
          <>
            <Copy text={entry.in_band.header} label="Copy header" />
            <Copy text={entry.in_band.credential} label="Copy credential" />
          </>
        )}
      </footer>
    </article>
  );
}

function Effects({ rules, again }: { rules: Rule[]; again: () => void }) {
  const effects = useLoaded(() => get<Record<string, Record<string, Json>>>("/effects"), "");
  const [vendor, setVendor] = useState("");
  const [operation, setOperation] = useState("");
  const [count, picker] = useCount();
  const same = (rule: Rule, name: string, effect: Record<string, Json>) =>
    rule.rule.effect === name || JSON.stringify(rule.rule.effect) === JSON.stringify(effect);
  const find = (name: string, effect: Record<string, Json>) =>
    rules.find(
      (rule) =>
        !rule.rule.scenario &&
        same(rule, name, effect) &&
        (!vendor || rule.rule.match?.vendor === vendor) &&
        (!operation || rule.rule.match?.operation === operation) &&
        (!credential.value || rule.rule.match?.credential === credential.value),
    );
  const change = (name: string, rule: Rule | undefined) =>
    attempt(async () => {
      if (rule) await send("DELETE", `/faults/${rule.id}`);
      else {
        const match = Object.fromEntries(Object.entries({ vendor, operation, credential: credential.value }).filter(([, value]) => value));
        await send("POST", "/faults", { match, effect: name, ...(count ? { count } : {}) });
      }
      again();
    });
  return (
    <>
      <div class="filters">
        <select aria-label="Vendor of the rule" value={vendor} onChange={(event) => (setVendor(event.currentTarget.value), setOperation(""))}>
          <option value="">Every vendor</option>
          {vendors.value.map((name) => (
            <option key={name} value={name}>
              {title(name)}
            </option>
          ))}
        </select>
        <select aria-label="Operation of the rule" value={operation} disabled={!vendor} onChange={(event) => setOperation(event.currentTarget.value)}>
          <option value="">Every operation</option>
          {(operations.value[vendor]?.operations ?? []).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        {picker}
      </div>
      <div class="cards small-cards">
        {Object.entries(effects.data ?? {}).map(([name, effect]) => {
          const rule = find(name, effect);
          return (
            <article class={`card ${rule ? "on" : ""}`} key={name}>
              <header>
                <Switch on={rule !== undefined} label={name} change={() => void change(name, rule)} />
                <b>{name}</b>
                <span class="grow" />
                {rule && <span class="muted">{rule.fired} fired</span>}
              </header>
              <Members value={effect} />
            </article>
          );
        })}
      </div>
    </>
  );
}

interface Scenario {
  name: string;
  description: string;
}

function Scenarios({ rules, again }: { rules: Rule[]; again: () => void }) {
  const scenarios = useLoaded(() => get<Scenario[]>("/scenarios"), "");
  const [opened, setOpened] = useState<{ name: string; content: Json } | null>(null);
  const scope = query({ credential: credential.value });
  const change = (name: string, on: boolean) =>
    attempt(
      async () => {
        await send(on ? "POST" : "DELETE", `/scenarios/${name}${scope}`);
        again();
      },
      on ? `${name} is loaded.` : "The rules of the scenario are removed. The settings that it changed are kept.",
    );
  const show = async (name: string) => {
    await attempt(async () => setOpened({ name, content: await get<Json>(`/scenarios/${name}`) }));
  };
  const upload = (file: File | undefined) => {
    if (!file) return;
    void attempt(async () => {
      const answer = await fetch(`/_emulator/scenario-files/${encodeURIComponent(file.name)}${scope}`, { method: "POST", body: await file.arrayBuffer() });
      if (!answer.ok) throw new Refused(answer.status, ((await answer.json()) as { error: string }).error);
      notify(`${((await answer.json()) as { name: string }).name} is loaded.`);
      again();
    });
  };
  const others = [...new Set(rules.map((rule) => rule.rule.scenario).filter((name): name is string => !!name))].filter(
    (name) => !scenarios.data?.some((each) => each.name === name),
  );
  return (
    <>
      <div class="cards">
        {[...(scenarios.data ?? []), ...others.map((name) => ({ name, description: "Loaded from a file or with the control API." }))].map((scenario) => {
          const mine = rules.filter((rule) => rule.rule.scenario === scenario.name);
          return (
            <article class={`card ${mine.length ? "on" : ""}`} key={scenario.name}>
              <header>
                <Switch on={mine.length > 0} label={`Scenario ${scenario.name}`} change={(on) => void change(scenario.name, on)} />
                <b>{scenario.name}</b>
                <span class="grow" />
                {mine.length > 0 && (
                  <span class="muted">
                    {plural(mine.length, "rule")}, {mine.reduce((sum, rule) => sum + rule.fired, 0)} fired
                  </span>
                )}
              </header>
              <p>{scenario.description}</p>
              {opened?.name === scenario.name ? (
                <Members value={opened.content as Record<string, Json>} />
              ) : (
                !others.includes(scenario.name) && (
                  <button type="button" class="small" onClick={() => void show(scenario.name)}>
                    Show
                  </button>
                )
              )}
            </article>
          );
        })}
      </div>
      <label class="field panel">
        <span>Load a scenario from a TOML or YAML file</span>
        <input
          type="file"
          accept=".toml,.yaml,.yml"
          onChange={(event) => {
            upload(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </label>
    </>
  );
}
