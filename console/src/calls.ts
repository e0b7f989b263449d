// The recorded calls: the newest ones, and a stream of new ones.
import { effect, signal } from "@preact/signals";
import { CONTROL, attempt, get, query, send } from "./api";
import { credential, operations, params, unmaskAll, words } from "./state";
import { quote } from "./text";
import type { Body, Call, Json } from "./types";

/** Largest number of calls in the list. The oldest ones are dropped, but not while a call is open. */
export const MOST = 5000;

const KEPT_BYTES = 64_000_000;

export type Connection = "connecting" | "live" | "lost" | "off";

export const connection = signal<Connection>("connecting");
/** Grows whenever ``calls`` changes. */
export const version = signal(0);
export const missed = signal(0);
export const dropped = signal(0);
export const isPaused = signal(false);
export const kept = signal<{ limit: number; held_bytes: number; calls: number[] } | null>(null);

export let calls: Call[] = [];
let waiting: Call[] = [];
let stream: EventSource | null = null;
let generation = 0;
let isScheduled = false;

export const FILTERS = ["vendor", "operation", "status", "fault", "warned", "warning", "since", "until"] as const;

/** Return the filters of the control API that are in the URL. */
export function filters(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of FILTERS) {
    const value = params.value.get(name);
    if (value) found[name] = value;
  }
  if (credential.value) found.credential = credential.value;
  return found;
}

function flush(): void {
  isScheduled = false;
  if (isPaused.value || waiting.length === 0) return;
  calls = calls.concat(waiting);
  waiting = [];
  const isOpen = words.value[0] === "live" && words.value.length > 1;
  if (calls.length > MOST && !isOpen) {
    dropped.value += calls.length - MOST;
    calls = calls.slice(-MOST);
  }
  version.value++;
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  // Render at most once per frame, however many calls arrive. A hidden page gets no frames.
  if (document.hidden) setTimeout(flush, 500);
  else requestAnimationFrame(flush);
}

/** Number of calls that have arrived while the list was paused. */
export const held = () => waiting.length;

export function pause(on: boolean): void {
  isPaused.value = on;
  flush();
}

async function open(given: Record<string, string>): Promise<void> {
  const mine = ++generation;
  stream?.close();
  connection.value = "connecting";
  calls = [];
  waiting = [];
  dropped.value = 0;
  missed.value = 0;
  version.value++;
  let last = 0;
  try {
    const health = await get<{ journal: { last: number } | null }>("/health");
    if (health.journal === null) {
      connection.value = "off";
      return;
    }
    last = health.journal.last;
    const page = await get<{ calls: Call[]; next_after: number | null }>(`/calls${query({ ...given, last: 1000, limit: 1000 })}`);
    if (mine !== generation) return;
    calls = page.calls;
    // A page of large calls has fewer than ``limit``. The stream then sends the rest.
    last = page.next_after ?? Math.max(last, calls.at(-1)?.number ?? 0);
    version.value++;
  } catch {
    if (mine !== generation) return;
    connection.value = "lost";
    setTimeout(() => mine === generation && void open(given), 2000);
    return;
  }
  // With ``after``, no call is lost between the list and the stream, or while the stream reconnects.
  stream = new EventSource(`${CONTROL}/calls/stream${query({ ...given, after: last })}`);
  stream.onopen = () => {
    connection.value = "live";
  };
  stream.onerror = () => {
    connection.value = "lost";
    // The browser reconnects by itself, except after a response that is not a stream, such as a proxy's error.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(() => mine === generation && void open(given), 2000);
  };
  stream.addEventListener("call", (event) => {
    waiting.push(JSON.parse((event as MessageEvent<string>).data) as Call);
    schedule();
  });
  stream.addEventListener("gap", (event) => {
    missed.value += (JSON.parse((event as MessageEvent<string>).data) as { missed: number }).missed;
  });
  stream.addEventListener("restart", () => {
    calls = [];
    waiting = [];
    version.value++;
  });
}

let current = "";

/** Follow the calls that match the URL. The stream stays open in all views. */
export function follow(): void {
  effect(() => {
    const given = filters();
    const isHere = words.value.length === 0 || words.value[0] === "live";
    const text = JSON.stringify(isHere ? given : { credential: credential.value });
    if (text === current) return;
    current = text;
    void open(JSON.parse(text) as Record<string, string>);
  });
}

/** Ask the emulator to keep the bodies of calls, so that their pictures can be shown. */
export async function keepBodies(on: boolean): Promise<void> {
  await attempt(async () => {
    kept.value = await send("PUT", "/calls/bodies", { limit: on ? KEPT_BYTES : 0 });
  });
}

export async function loadKept(): Promise<void> {
  kept.value = await get("/calls/bodies");
}

export async function forgetCalls(): Promise<void> {
  await send("DELETE", `/calls${query({ credential: credential.value })}`);
  calls = [];
  waiting = [];
  version.value++;
}

/** Return the value of a member anywhere in a JSON document. */
export function member(value: Json | undefined, name: string): Json | undefined {
  if (value === null || typeof value !== "object") return undefined;
  if (!Array.isArray(value) && name in value) return value[name];
  for (const each of Object.values(value)) {
    const found = member(each, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Return the id of the task that a call created, or null. */
export function createdTask(call: Call): string | null {
  if (!operations.value[call.vendor]?.creating_tasks.includes(call.operation ?? "")) return null;
  const id = member(call.answer?.json, "task_id");
  return typeof id === "string" ? id : null;
}

export interface Group {
  task: string;
  creation: Call;
  others: Call[];
}

export interface Item {
  call: Call;
  group: Group | null;
  isChild: boolean;
}

/** Return the rows of the list. The polls and downloads of an opened task are below the call that created it. */
export function itemsOf(all: readonly Call[], opened: ReadonlySet<string>): { items: Item[]; groups: Map<string, Group> } {
  const groups = new Map<string, Group>();
  const tops: Item[] = [];
  for (const call of all) {
    const created = createdTask(call);
    if (created !== null) {
      const group = { task: created, creation: call, others: [] };
      groups.set(created, group);
      tops.push({ call, group, isChild: false });
      continue;
    }
    const group = groups.size ? groups.get(lastWord(call.path)) : undefined;
    if (group) group.others.push(call);
    else tops.push({ call, group: null, isChild: false });
  }
  if (opened.size === 0) return { items: tops, groups };
  const items: Item[] = [];
  for (const item of tops) {
    items.push(item);
    if (item.group && opened.has(item.group.task)) {
      for (const call of item.group.others) items.push({ call, group: item.group, isChild: true });
    }
  }
  return { items, groups };
}

/** Return the last part of a path without its extension. In a poll and in a result's URL, it is the task's id. */
function lastWord(path: string): string {
  const last = path.slice(path.lastIndexOf("/") + 1);
  const dot = last.indexOf(".");
  return dot < 0 ? last : last.slice(0, dot);
}

export interface Blobbed {
  place: string;
  sha256: string;
  bytes: number;
  name: string;
  type: string;
}

/** Return the pictures and files of a body. The journal has only their digests. */
export function blobsOf(body: Body | null, place: string): Blobbed[] {
  if (body === null) return [];
  const found: Blobbed[] = [];
  const walk = (value: Json | undefined, path: string): void => {
    if (value === null || typeof value !== "object") return;
    if (!Array.isArray(value) && typeof value.sha256 === "string" && typeof value.bytes === "number") {
      found.push({
        place: path,
        sha256: value.sha256,
        bytes: value.bytes,
        name: String(value.file_name ?? path.split(".").at(-1)),
        type: String(value.content_type ?? ""),
      });
      return;
    }
    for (const [name, each] of Object.entries(value)) walk(each, path ? `${path}.${name}` : name);
  };
  if (body.kind === "binary" && body.sha256) {
    found.push({ place, sha256: body.sha256, bytes: body.bytes, name: place, type: body.content_type ?? "" });
  }
  walk(body.fields, "");
  walk(body.json, "");
  return found;
}

export const blobUrl = (call: Call, blob: Blobbed) => `${CONTROL}/calls/${call.number}/bytes/${blob.sha256}`;

const SET_BY_CURL = new Set(["host", "content-length", "accept-encoding", "connection", "transfer-encoding", "user-agent"]);

/** Return a curl command that sends a call again. It contains the names of the files that the client sent. */
export function curlOf(call: Call): string {
  const given = call.query.length ? `?${new URLSearchParams(call.query)}` : "";
  const parts = [`curl -X ${call.method} ${quote(unmaskAll(`${location.origin}${call.path}${given}`))}`];
  for (const [name, value] of call.request_headers) {
    const lowered = name.toLowerCase();
    if (SET_BY_CURL.has(lowered) || lowered.startsWith("sec-") || ["origin", "referer", "cookie"].includes(lowered)) continue;
    if (call.sent?.kind === "multipart" && lowered === "content-type") continue;
    parts.push(`-H ${quote(unmaskAll(`${name}: ${value}`))}`);
  }
  const sent = call.sent;
  if (sent?.kind === "json") parts.push(`--data ${quote(unmaskAll(JSON.stringify(sent.json)))}`);
  if (sent?.kind === "text") parts.push(`--data-raw ${quote(unmaskAll(sent.text ?? ""))}`);
  if (sent?.kind === "binary") parts.push("--data-binary @FILE");
  if (sent?.fields) {
    const flag = sent.kind === "multipart" ? "-F" : "--data-urlencode";
    for (const [name, given] of Object.entries(sent.fields)) {
      for (const value of Array.isArray(given) ? given : [given]) {
        const isFile = value !== null && typeof value === "object" && !Array.isArray(value);
        parts.push(`${flag} ${quote(unmaskAll(`${name}=${isFile ? `@${value.file_name ?? "FILE"}` : String(value)}`))}`);
      }
    }
  }
  return parts.join(" \\\n  ");
}

/** Return a filter that matches calls like this one. */
export function matchOf(call: Call): Record<string, Json> {
  const match: Record<string, Json> = { vendor: call.vendor };
  if (call.operation) match.operation = call.operation;
  else match.path = call.path;
  match.status = call.status === null ? "none" : String(call.status);
  if (credential.value) match.credential = credential.value;
  return match;
}

export function verifyCommand(call: Call): string {
  return `face-emulator calls verify ${quote(JSON.stringify(matchOf(call)))} --url ${location.origin}`;
}

export function verifyPython(call: Call): string {
  const keywords = Object.entries(matchOf(call)).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [
    "from face_api_emulator.client import Client",
    "",
    `with Client(${JSON.stringify(location.origin)}) as emulator:`,
    `    verdict = emulator.verify(${keywords.join(", ")})`,
    "    assert verdict.ok, verdict.message",
  ].join("\n");
}
