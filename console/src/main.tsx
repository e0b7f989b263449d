// The frame of the console: navigation, credential field, keyboard shortcuts, and the view in the URL.
import { effect } from "@preact/signals";
import { type ComponentChildren, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./style.css";
import { Clock, Contract, CostsView, Credentials, Snapshot } from "./admin";
import { dismiss, get, notes, query } from "./api";
import { connection, follow, keepBodies, kept, loadKept } from "./calls";
import { Faults } from "./faults";
import { sectionsNow, shown, useKeys } from "./keys";
import { Live } from "./live";
import { Play } from "./play";
import { credential, go, health, known, loadFacts, remember, setParams, to, view } from "./state";
import { Tasks } from "./tasks";
import type { Reading, Task } from "./types";
import { A, Confirm, Empty, useInterval } from "./ui";

interface Place {
  path: string;
  name: string;
  short?: string;
  key: string;
  icon: string;
  show: () => ComponentChildren;
}

const PLACES: readonly Place[] = [
  { path: "live", name: "Live", key: "l", icon: "M3 12h4l2.5-7 4 14L16 12h5", show: () => <Live /> },
  { path: "play", name: "Playground", short: "Play", key: "p", icon: "M12 3 4 7.5v9L12 21l8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9", show: () => <Play /> },
  { path: "faults", name: "Faults", key: "f", icon: "M13 2 4 14h7l-1 8 9-12h-7z", show: () => <Faults /> },
  { path: "tasks", name: "Tasks, webhooks", short: "Tasks", key: "t", icon: "M4 6h10M4 12h16M4 18h7M17 4l2 2 3-4", show: () => <Tasks /> },
  { path: "clock", name: "Clock", key: "c", icon: "M12 3a9 9 0 1 0 .01 0M12 7v5l3.5 2", show: () => <Clock /> },
  { path: "costs", name: "Costs", key: "o", icon: "M12 3v18M16.5 7c-1-1.3-2.6-2-4.5-2-2.500 0-4.500 1.200-4.500 3.300 0 4.700 9.500 2.200 9.500 7 0 2.200-2.200 3.700-5 3.700-2.300 0-4.200-.9-5-2.500", show: () => <CostsView /> },
  { path: "credentials", name: "Credentials", short: "Keys", key: "k", icon: "M8 11a4 4 0 1 0 .01 0M11 12.500 20 4M17 7l3 3M14.500 9.500l2 2", show: () => <Credentials /> },
  { path: "snapshot", name: "Snapshot", key: "s", icon: "M4 7h4l1.500-2.500h5L16 7h4v12H4zM12 9.500a3.500 3.500 0 1 0 .01 0", show: () => <Snapshot /> },
  { path: "contract", name: "Contract", key: "h", icon: "M6 3h9l4 4v14H6zM9 9h6M9 13h7M9 17h5", show: () => <Contract /> },
];

function App() {
  const place = PLACES.find((each) => each.path === view.value);
  useKeys("Everywhere", [
    ["?", "show or hide this list", () => (shown.value = !shown.value)],
    ...PLACES.map((each) => [`g ${each.key}`, each.name, () => go(to(each.path))] as const),
    [".", "go to the credential field", () => document.querySelector<HTMLInputElement>("#credential")?.focus()],
  ]);
  useEffect(() => {
    document.title = `${place?.name ?? "Not found"} · face-api-emulator`;
    // On a phone, the views are in a row that scrolls.
    document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [place]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <A href={to("live")} class="brand" aria-label="face-api-emulator, live calls">
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <rect width="32" height="32" rx="8" fill="var(--brand)" />
            <g fill="none" stroke="#fff" stroke-width="1.5" stroke-linejoin="round">
              <path d="M16 5 8 10v9l8 8 8-8v-9z" />
              <path d="m8 10 8 4 8-4M16 5v9M8 19l8-5 8 5M16 14v13" />
            </g>
          </svg>
          <span>face-api-emulator</span>
        </A>
        <Chooser />
        <span class="grow" />
        <ClockChip />
        <Light />
        <button type="button" class="icon" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => (shown.value = true)}>
          ?
        </button>
      </header>
      <nav class="side" aria-label="Views">
        {PLACES.map((each) => (
          <A key={each.path} href={to(each.path)} aria-current={each === place ? "page" : undefined} title={`${each.name} (g ${each.key})`}>
            <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
              <path d={each.icon} fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />
            </svg>
            <span class="long">{each.name}</span>
            <span class="short">{each.short ?? each.name}</span>
          </A>
        ))}
        <span class="version">{health.value && `version ${health.value.version}`}</span>
      </nav>
      <main id="main" tabIndex={-1}>
        {place ? (
          place.show()
        ) : (
          <Empty title="This page does not exist">
            <p>
              <A href={to("live")}>Go to the live calls</A>
            </p>
          </Empty>
        )}
      </main>
      <Keys />
      <Confirm />
      <div class="notes" role="status" aria-live="polite">
        {notes.value.map((note) => (
          <div key={note.id} class={note.bad ? "bad" : ""}>
            <span>{note.text}</span>
            <button type="button" class="icon" aria-label="Dismiss" onClick={() => dismiss(note.id)}>
              ✕
            </button>
          </div>
        ))}
      </div>
    </>
  );
}

/** Suggest the credentials that have a state or tasks. The journal has only digests of credentials. */
async function loadKnown(): Promise<void> {
  const [listed, tasks] = await Promise.all([get<{ credential: string }[]>("/credentials"), get<Task[]>("/tasks")]);
  remember([...listed, ...tasks].map((each) => each.credential));
}

function Chooser() {
  const [text, setText] = useState(credential.value);
  useEffect(() => setText(credential.value), [credential.value]);
  const choose = (name: string) => {
    if (name.trim() === credential.value) return;
    setParams({ credential: name.trim() || null }, false);
  };
  return (
    <form
      class="chooser"
      onSubmit={(event) => {
        event.preventDefault();
        choose(text);
        document.querySelector<HTMLInputElement>("#credential")?.blur();
      }}
    >
      <label for="credential">as</label>
      <input
        id="credential"
        list="credentials"
        value={text}
        placeholder="all credentials"
        autocomplete="off"
        spellcheck={false}
        aria-label="Credential; empty for all credentials"
        onFocus={() => void loadKnown().catch(() => undefined)}
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={(event) => choose(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            setText(credential.value);
            event.currentTarget.blur();
          }
        }}
      />
      <datalist id="credentials">
        {known.value.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {credential.value && (
        <button type="button" class="icon" aria-label="All credentials" title="All credentials" onClick={() => choose("")}>
          ✕
        </button>
      )}
    </form>
  );
}

function ClockChip() {
  const [reading, setReading] = useState<Reading | null>(null);
  const load = () => {
    get<Reading>(`/clock${query({ credential: credential.value })}`).then(setReading, () => undefined);
  };
  useEffect(load, [credential.value, view.value]);
  useInterval(load, 5000);
  if (!reading || (!reading.frozen && Math.abs(reading.now - Date.now() / 1000) < 5)) return null;
  return (
    <A href={to("clock")} class="clock-chip" title="The emulator's clock">
      {reading.frozen ? "frozen" : "clock"} {reading.iso.slice(0, 16).replace("T", " ")}
    </A>
  );
}

const LIGHTS = { live: "live", connecting: "connecting", lost: "not connected", off: "journal off" };

function Light() {
  return (
    <span class={`light ${connection.value}`} role="status">
      <i aria-hidden="true" />
      <span>{LIGHTS[connection.value]}</span>
    </span>
  );
}

function Keys() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (shown.value) box.current?.showModal();
    else box.current?.close();
  }, [shown.value]);
  return (
    <dialog
      ref={box}
      class="keys"
      aria-label="Keyboard shortcuts"
      onClose={() => (shown.value = false)}
      onKeyDown={(event) => event.key === "?" && (shown.value = false)}
      onClick={(event) => event.target === box.current && (shown.value = false)}
    >
      <div>
        <header>
          <h2>Keyboard</h2>
          <button type="button" class="icon" aria-label="Close" onClick={() => (shown.value = false)}>
            ✕
          </button>
        </header>
        {shown.value &&
          sectionsNow().map((section) => (
            <section key={section.name}>
              <h3>{section.name}</h3>
              <dl>
                {section.keys
                  .filter(([, does]) => does)
                  .map(([key, does]) => (
                    <div key={key}>
                      <dt>
                        {key.split(" ").map((part) => (
                          <kbd key={part}>{part}</kbd>
                        ))}
                      </dt>
                      <dd>{does}</dd>
                    </div>
                  ))}
              </dl>
            </section>
          ))}
      </div>
    </dialog>
  );
}

effect(() => {
  if (credential.value) remember([credential.value]);
});

async function start(): Promise<void> {
  const root = document.getElementById("app");
  if (!root) return;
  render(<App />, root);
  try {
    await loadFacts();
    await loadKept();
    // The emulator keeps pictures only on request.
    if (kept.value?.limit === 0) await keepBodies(true);
    await loadKnown();
  } catch {
    // `follow` shows that the connection is lost, and tries again.
    setTimeout(() => void loadFacts().catch(() => undefined), 3000);
  }
  follow();
}

void start();
