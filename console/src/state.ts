// State that all views share: the URL, the credential, and facts about the emulator.
import { computed, effect, signal } from "@preact/signals";
import { get, query } from "./api";
import type { ErrorEntry, Health, Operations, WarningKind } from "./types";

export const BASE = "/_emulator/console/";

const address = signal(location.pathname.slice(BASE.length) + location.search);

/** The parts of the URL's path below the console: the view, and what it shows. */
export const words = computed(() => {
  const path = address.value.split("?")[0] ?? "";
  return path.split("/").filter(Boolean).map(decodeURIComponent);
});

export const params = computed(() => new URLSearchParams(address.value.split("?")[1] ?? ""));

export const view = computed(() => words.value[0] ?? "live");

/** The credential to which all views are limited; empty for all credentials. */
export const credential = computed(() => params.value.get("credential") ?? "");

/** The credential of the console itself. */
export const OWN = "console";

/** The credential that the playground sends. */
export const sender = computed(() => credential.value || OWN);

window.addEventListener("popstate", () => {
  address.value = location.pathname.slice(BASE.length) + location.search;
});

/** Return the URL of a view, with the current credential. */
export function to(path: string, values: Record<string, string | null> = {}): string {
  return BASE + path + query({ credential: credential.value, ...values });
}

export function go(url: string, replace = false): void {
  if (url === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  address.value = location.pathname.slice(BASE.length) + location.search;
}

/** Change parameters of the current URL. */
export function setParams(values: Record<string, string | null>, replace = true): void {
  const all = { ...Object.fromEntries(params.value), ...values };
  go(location.pathname + query(all), replace);
}

export const health = signal<Health | null>(null);
export const operations = signal<Record<string, Operations>>({});
export const errors = signal<ErrorEntry[]>([]);
export const warningKinds = signal<WarningKind[]>([]);

export const TITLES: Record<string, string> = {
  faceplusplus: "Face++",
  metahuman: "MetaHuman",
  perfectcorp: "Perfect Corp",
};

export const title = (vendor: string) => TITLES[vendor] ?? vendor;

export const vendors = computed(() => Object.keys(health.value?.vendors ?? {}));

const RECENT = `credentials:${location.port}`;

/** Credentials to suggest: recent ones, those with tasks, and those with a state. */
export const known = signal<string[]>(recent());

function recent(): string[] {
  try {
    return JSON.parse(localStorage.getItem(RECENT) ?? "[]") as string[];
  } catch {
    return [];
  }
}

export function remember(names: string[]): void {
  const all = [...new Set([...names.filter(Boolean), ...known.value])].slice(0, 40);
  if (all.join("\n") === known.value.join("\n")) return;
  known.value = all;
  try {
    localStorage.setItem(RECENT, JSON.stringify(all));
  } catch {
    // Without storage, the list is empty after a reload.
  }
}

effect(() => remember([credential.value, OWN]));

/** The known credentials by digest. In the journal, a digest replaces the credential. */
const digests = signal<Record<string, string>>({});

effect(() => {
  const names = known.value;
  if (!crypto.subtle) return; // not available over plain HTTP from another machine
  void Promise.all(
    names.map(async (name) => {
      const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
      const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      return [hex.slice(0, 8), name] as const;
    }),
  ).then((pairs) => {
    digests.value = Object.fromEntries(pairs);
  });
});

/** Return the name of a masked credential, or the masked text if it is unknown. */
export function unmask(masked: string | null): string {
  if (masked === null) return "";
  return digests.value[masked.split("#")[1] ?? ""] ?? masked;
}

/** Replace masked credentials in a text with the known credentials. */
export function unmaskAll(text: string): string {
  return text
    .replaceAll("%E2%80%A6%23", "…#")
    .replace(/[^\s"'&=]{0,3}…#([0-9a-f]{8})/g, (_, digest: string) => digests.value[digest] ?? "SECRET");
}

export async function loadFacts(): Promise<void> {
  [health.value, operations.value, errors.value, warningKinds.value] = await Promise.all([
    get<Health>("/health"),
    get<Record<string, Operations>>("/operations"),
    get<ErrorEntry[]>("/errors"),
    get<WarningKind[]>("/warnings"),
  ]);
}
