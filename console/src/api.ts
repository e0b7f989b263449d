// Requests to the control API.
import { signal } from "@preact/signals";

export const CONTROL = "/_emulator";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Note {
  id: number;
  text: string;
  bad: boolean;
}

export const notes = signal<Note[]>([]);
let noteId = 0;

/** Show a message for a few seconds. Errors stay longer. */
export function notify(text: string, bad = false): void {
  const id = ++noteId;
  notes.value = [...notes.value.slice(-3), { id, text, bad }];
  setTimeout(() => dismiss(id), bad ? 9000 : 3000);
}

export function dismiss(id: number): void {
  notes.value = notes.value.filter((note) => note.id !== id);
}

export function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") given.set(name, String(value));
  }
  const text = given.toString();
  return text ? `?${text}` : "";
}

async function reason(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || answer.statusText;
  }
}

export async function send<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const isData = body instanceof Blob;
  const answer = await fetch(`${CONTROL}${path}`, {
    method,
    ...(signal ? { signal } : {}),
    ...(body === undefined
      ? {}
      : isData
        ? { body, headers: { "Content-Type": "application/zip" } }
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  if (!answer.ok) throw new Refused(answer.status, await reason(answer));
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => send<T>("GET", path, undefined, signal);

/** Run an action of the user. Show its error if it fails, and return whether it succeeded. */
export async function attempt(action: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await action();
  } catch (error) {
    notify(error instanceof Error ? error.message : String(error), true);
    return false;
  }
  if (done) notify(done);
  return true;
}
