// Keyboard shortcuts. Each view adds its own, and `?` lists those that work now.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export type Key = readonly [key: string, does: string, action: () => unknown];

interface Section {
  name: string;
  keys: readonly Key[];
}

const sections = new Map<string, Section>();
export const shown = signal(false);
let prefix = "";
let prefixTimer = 0;

export const sectionsNow = (): Section[] => [...sections.values()];

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input:not([type=range]), textarea, select, [contenteditable]") !== null;
}

window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const arrows = event.key.startsWith("Arrow");
  // Sliders, tabs and the divider use the arrow keys themselves.
  if (arrows && event.target instanceof HTMLElement && event.target.closest("[role=slider], [role=tablist], input, canvas")) return;
  const wanted = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = "";
  for (const section of [...sections.values()].reverse()) {
    for (const [key, , action] of section.keys) {
      if (key === wanted) {
        event.preventDefault();
        action();
        return;
      }
      if (key.startsWith(`${event.key} `)) prefix = event.key;
    }
  }
  clearTimeout(prefixTimer);
  prefixTimer = window.setTimeout(() => {
    prefix = "";
  }, 1200);
});

export function useKeys(name: string, keys: readonly Key[]): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const bound = keys.map(([key, does], index) => [key, does, () => latest.current[index]?.[2]()] as const);
    sections.set(name, { name, keys: bound });
    return () => {
      sections.delete(name);
    };
  }, [name]);
}
