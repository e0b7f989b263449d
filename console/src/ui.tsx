// Small components that several views use.
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { attempt, notify } from "./api";
import { go, title } from "./state";
import { bytes, download } from "./text";
import type { Json, Mark } from "./types";

type Attributes = Omit<JSX.HTMLAttributes<HTMLAnchorElement>, "href">;

/** A link inside the console, which does not reload the page. */
export function A({ href, children, ...rest }: Attributes & { href: string; children: ComponentChildren }) {
  const follow = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(href);
  };
  return (
    <a href={href} onClick={follow} {...rest}>
      {children}
    </a>
  );
}

export function Vendor({ name }: { name: string }) {
  return (
    <span class="vendor" data-vendor={name}>
      <i aria-hidden="true" />
      {title(name)}
    </span>
  );
}

export function Status({ status, complete = true }: { status: number | null; complete?: boolean }) {
  if (status === null) return <span class="status bad">dropped</span>;
  const kind = status >= 500 ? "bad" : status >= 400 ? "warn" : "good";
  return (
    <span class={`status ${complete ? kind : "bad"}`} title={complete ? undefined : "The response was not completed."}>
      {status}
      {complete ? "" : "…"}
    </span>
  );
}

const MARKS: Record<Mark, string> = {
  CONFIRMED: "The vendor's documentation states it.",
  OBSERVED: "Published clients or published responses show it.",
  GUESS: "Inferred. It may be wrong.",
};

export function MarkTag({ mark }: { mark: Mark }) {
  return (
    <span class={`mark ${mark.toLowerCase()}`} title={MARKS[mark]}>
      {mark === "GUESS" ? "a guess" : mark.toLowerCase()}
    </span>
  );
}

export async function copy(text: string, what = "Copied."): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers offer the clipboard API only over HTTPS and on loopback addresses.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  notify(what);
}

export function Copy({ text, label = "Copy", done }: { text: string | (() => string); label?: string; done?: string }) {
  return (
    <button type="button" class="small" onClick={() => copy(typeof text === "string" ? text : text(), done)}>
      {label}
    </button>
  );
}

export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <Copy text={text} />
    </div>
  );
}

interface Question {
  text: string;
  verb: string;
  resolve: (yes: boolean) => void;
}

const question = signal<Question | null>(null);

/** Ask before something is deleted. */
export function confirmed(text: string, verb: string): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = { text, verb, resolve };
  });
}

export function Confirm() {
  const box = useRef<HTMLDialogElement>(null);
  const asked = question.value;
  useEffect(() => {
    if (asked) box.current?.showModal();
    else box.current?.close();
  }, [asked]);
  const answer = (yes: boolean) => {
    asked?.resolve(yes);
    question.value = null;
  };
  return (
    <dialog ref={box} class="ask" onCancel={() => answer(false)} aria-label="Please confirm">
      <p>{asked?.text}</p>
      <div class="row end">
        <button type="button" onClick={() => answer(false)}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={() => answer(true)}>
          {asked?.verb}
        </button>
      </div>
    </dialog>
  );
}

/** A button that asks for confirmation, and then runs an action. */
export function Delete(props: {
  label: string;
  ask: string;
  verb?: string;
  done?: string;
  action: () => Promise<unknown>;
  then?: () => unknown;
}) {
  const run = async () => {
    if (!(await confirmed(props.ask, props.verb ?? props.label))) return;
    if (await attempt(props.action, props.done)) props.then?.();
  };
  return (
    <button type="button" class="danger quiet" onClick={run}>
      {props.label}
    </button>
  );
}

export function Switch({ on, label, change }: { on: boolean; label: string; change: (on: boolean) => unknown }) {
  return (
    <button type="button" role="switch" class="switch" aria-checked={on} aria-label={label} onClick={() => change(!on)}>
      <i aria-hidden="true" />
    </button>
  );
}

export function Chips<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, ComponentChildren])[];
  change: (value: T) => void;
}) {
  return (
    <div class="chips" role="group" aria-label={props.label}>
      {props.options.map(([value, shown]) => (
        <button type="button" key={value} aria-pressed={props.value === value} onClick={() => props.change(value)}>
          {shown}
        </button>
      ))}
    </div>
  );
}

export function Empty({ children, title: heading }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <svg viewBox="0 0 32 32" width="40" height="40" aria-hidden="true">
        <g fill="none" stroke="currentColor" stroke-width="1.2" stroke-linejoin="round">
          <path d="M16 5 8 10v9l8 8 8-8v-9z" />
          <path d="m8 10 8 4 8-4M16 5v9M8 19l8-5 8 5M16 14v13" />
        </g>
      </svg>
      <strong>{heading}</strong>
      {children}
    </div>
  );
}

export function Page({ heading, lead, actions, children }: {
  heading: string;
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <div class="page">
      <header class="head">
        <div>
          <h1>{heading}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="row">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

const LONG = 160;

/** JSON as a tree. Long texts are shortened, with their length and buttons to copy and save the whole text. */
export function Tree({ value, name, depth = 0, open = 2 }: {
  value: Json;
  name?: string;
  depth?: number;
  open?: number;
}) {
  const label = name === undefined ? null : <span class="key">{name}: </span>;
  if (value !== null && typeof value === "object") {
    const isList = Array.isArray(value);
    const entries: [string, Json][] = isList ? value.map((each, index) => [String(index), each]) : Object.entries(value);
    const numbers = isList && value.length > 0 && value.every((each) => typeof each === "number");
    if (entries.length === 0) {
      return (
        <div class="leaf">
          {label}
          {isList ? "[]" : "{}"}
        </div>
      );
    }
    if (numbers && value.length <= 16) {
      return (
        <div class="leaf">
          {label}
          <span class="number">[{value.join(", ")}]</span>
        </div>
      );
    }
    return <Branch label={label} entries={entries} isList={isList} depth={depth} open={open} />;
  }
  if (typeof value === "string" && value.length > LONG) {
    return (
      <div class="leaf">
        {label}
        <span class="text">"{value.slice(0, 80)}…"</span>{" "}
        <span class="muted">{value.length.toLocaleString("en")} characters</span>{" "}
        <Copy text={value} />{" "}
        <button type="button" class="small" onClick={() => download(value, `${name ?? "text"}.txt`)}>
          Save
        </button>
      </div>
    );
  }
  const kind = value === null ? "null" : typeof value;
  return (
    <div class="leaf">
      {label}
      <span class={kind === "string" ? "text" : kind}>{JSON.stringify(value)}</span>
    </div>
  );
}

/** The members of an object, without a line for the object itself. */
export function Members({ value, open = 3 }: { value: Record<string, Json>; open?: number }) {
  const entries = Object.entries(value);
  if (entries.length === 0) return <Tree value={value} />;
  return (
    <div>
      {entries.map(([name, each]) => (
        <Tree key={name} name={name} value={each} open={open} />
      ))}
    </div>
  );
}

function Branch(props: { label: ComponentChildren; entries: [string, Json][]; isList: boolean; depth: number; open: number }) {
  const [isOpen, setOpen] = useState(props.depth < props.open && props.entries.length <= 60);
  const count = props.entries.length;
  return (
    <details class="branch" open={isOpen} onToggle={(event) => setOpen((event.target as HTMLDetailsElement).open)}>
      <summary>
        {props.label}
        <span class="muted">{props.isList ? `list of ${count}` : `{${count}}`}</span>
      </summary>
      {isOpen &&
        props.entries.map(([name, value]) => <Tree key={name} name={name} value={value} depth={props.depth + 1} open={props.open} />)}
    </details>
  );
}

export function JsonView({ value, file }: { value: Json; file: string }) {
  const text = () => JSON.stringify(value, null, 2);
  return (
    <div class="json">
      <div class="row end">
        <Copy text={text} label="Copy all" />
        <button type="button" class="small" onClick={() => download(text(), file)}>
          Save
        </button>
      </div>
      <Tree value={value} />
    </div>
  );
}

export function Size({ count }: { count: number }) {
  return <span class="muted">{bytes(count)}</span>;
}

/** Load data, and load it again when ``key`` changes or ``again`` is called. */
export function useLoaded<T>(load: () => Promise<T>, key: string): { data: T | null; error: string; again: () => void } {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState("");
  const [count, setCount] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    load().then(
      (found) => {
        if (!isCurrent) return;
        setData(found);
        setError("");
      },
      (problem: Error) => isCurrent && setError(problem.message),
    );
    return () => {
      isCurrent = false;
    };
  }, [key, count]);
  return { data, error, again: () => setCount((value) => value + 1) };
}

/** Call a function at an interval while the page is visible. */
export function useInterval(action: () => void, ms: number): void {
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || latest.current(), ms);
    return () => clearInterval(timer);
  }, [ms]);
}

/** Markdown of one line: code between backticks. */
export function Inline({ text }: { text: string }) {
  return (
    <>
      {text.replaceAll("\\|", "|").split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}
    </>
  );
}
