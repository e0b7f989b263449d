// The live list of calls.
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { CONTROL, attempt, query } from "./api";
import {
  FILTERS,
  MOST,
  type Group,
  type Item,
  calls,
  connection,
  curlOf,
  dropped,
  filters,
  forgetCalls,
  held,
  isPaused,
  itemsOf,
  keepBodies,
  kept,
  missed,
  pause,
  verifyCommand,
  version,
} from "./calls";
import { Detail, replay } from "./detail";
import { useKeys } from "./keys";
import { credential, go, operations, params, setParams, title, to, unmask, vendors, warningKinds, words } from "./state";
import { bytes, duration, plural, time } from "./text";
import type { Call } from "./types";
import { Chips, Delete, Empty, Status, Switch, Vendor, copy } from "./ui";

const OVERSCAN = 12;

const narrow = matchMedia("(max-width: 760px)");

const opened = signal<ReadonlySet<string>>(new Set());

function addressOf(number: number | null): string {
  const { credential: _, ...rest } = Object.fromEntries(params.value);
  return to(number === null ? "live" : `live/${number}`, rest);
}

export function toggle(task: string): void {
  const next = new Set(opened.value);
  if (!next.delete(task)) next.add(task);
  opened.value = next;
}

export function Live() {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [isNarrow, setNarrow] = useState(narrow.matches);
  const [isFollowing, setFollowing] = useState(true);
  const [find, setFind] = useState("");
  const rowHeight = isNarrow ? 54 : 34;
  const selected = words.value[1] ? Number(words.value[1]) : null;

  const { items, groups } = useMemo(() => {
    const wanted = find.trim().toLowerCase();
    const shown = wanted ? calls.filter((call) => matches(call, wanted)) : calls;
    return itemsOf(shown, opened.value);
  }, [version.value, opened.value, find, operations.value]);

  const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
  const last = Math.min(items.length, Math.ceil((top + height) / rowHeight) + OVERSCAN);

  useEffect(() => {
    const change = () => setNarrow(narrow.matches);
    narrow.addEventListener("change", change);
    const box = scroller.current;
    if (!box) return () => narrow.removeEventListener("change", change);
    const watch = new ResizeObserver(() => setHeight(box.clientHeight));
    watch.observe(box);
    return () => {
      narrow.removeEventListener("change", change);
      watch.disconnect();
    };
  }, []);

  // Scroll to the newest call only while nothing is open, so that open calls do not move.
  const follows = isFollowing && selected === null && opened.value.size === 0;
  const lastDropped = useRef(dropped.value);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const gone = dropped.value - lastDropped.current;
    lastDropped.current = dropped.value;
    if (follows) box.scrollTop = box.scrollHeight;
    else if (gone > 0) box.scrollTop -= gone * rowHeight;
  }, [items.length, follows, rowHeight]);

  // Scroll to the call in the URL, and to the calls of a task that has just been opened.
  const hasCalls = items.length > 0;
  useLayoutEffect(() => {
    const at = selected === null ? -1 : items.findIndex((item) => item.call.number === selected);
    if (at >= 0) reveal(at, at, true);
  }, [hasCalls]);
  const wasOpened = useRef(opened.value);
  useLayoutEffect(() => {
    const task = [...opened.value].find((each) => !wasOpened.current.has(each));
    wasOpened.current = opened.value;
    const from = task ? items.findIndex((item) => item.group?.task === task) : -1;
    if (from >= 0) reveal(from, from + (items[from]?.group?.others.length ?? 0), false);
  }, [opened.value]);

  const reveal = (from: number, until: number, isCentered: boolean) => {
    const box = scroller.current;
    if (!box) return;
    const above = from * rowHeight;
    const below = (until + 1) * rowHeight - box.clientHeight;
    if (isCentered) {
      if (above < box.scrollTop || below > box.scrollTop) box.scrollTop = above - box.clientHeight / 2;
    } else if (below > box.scrollTop) box.scrollTop = Math.min(above, below);
    else if (above < box.scrollTop) box.scrollTop = above;
  };

  const onScroll = () => {
    const box = scroller.current;
    if (!box) return;
    setTop(box.scrollTop);
    const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - rowHeight;
    if (isAtEnd !== isFollowing) setFollowing(isAtEnd);
  };

  const toEnd = () => {
    opened.value = new Set();
    if (selected !== null) go(addressOf(null));
    setFollowing(true);
  };

  const show = (number: number | null) => go(addressOf(number), selected !== null && number !== null);

  const move = (step: number) => {
    if (items.length === 0) return;
    const at = items.findIndex((item) => item.call.number === selected);
    const next = at < 0 ? (step > 0 ? items.length - 1 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + step));
    const item = items[next];
    if (!item) return;
    show(item.call.number);
    reveal(next, next, false);
  };

  const current = () => calls.find((call) => call.number === selected);
  useKeys("Live", [
    ["j", "next call", () => move(1)],
    ["k", "previous call", () => move(-1)],
    ["ArrowDown", "", () => move(1)],
    ["ArrowUp", "", () => move(-1)],
    ["Escape", "close the call", () => selected !== null && show(null)],
    [
      "o",
      "open or close the task of the call",
      () => {
        const item = items.find((each) => each.call.number === selected);
        if (item?.group) toggle(item.group.task);
      },
    ],
    ["c", "copy the call as a curl command", () => current() && void copy(curlOf(current() as Call), "Copied as curl.")],
    ["v", "copy the call as a verify command", () => current() && void copy(verifyCommand(current() as Call), "Copied as a verify command.")],
    ["r", "send the call again", () => current() && void replay(current() as Call)],
    ["p", "pause or continue the list", () => pause(!isPaused.value)],
    ["e", "go to the newest call", toEnd],
    ["/", "find in the list", () => document.querySelector<HTMLInputElement>("#find")?.focus()],
  ]);

  const isFiltered = FILTERS.some((name) => params.value.has(name)) || find !== "";
  return (
    <div class={`calls-view ${selected === null ? "" : "with-detail"}`}>
      <section class="list" aria-label="Calls">
        <Filters find={find} setFind={setFind} />
        <div class="rows" ref={scroller} onScroll={onScroll} role={items.length ? "list" : "group"} aria-label="Recorded calls" tabIndex={0}>
          {items.length === 0 ? (
            <NoCalls isFiltered={isFiltered} />
          ) : (
            <div style={{ height: `${items.length * rowHeight}px`, position: "relative" }}>
              {items.slice(first, last).map((item, index) => (
                <Row
                  key={`${item.call.number}${item.isChild ? "c" : ""}`}
                  item={item}
                  y={(first + index) * rowHeight}
                  height={rowHeight}
                  isSelected={item.call.number === selected}
                  isOpen={item.group !== null && opened.value.has(item.group.task)}
                  show={show}
                />
              ))}
            </div>
          )}
        </div>
        <Foot items={items} follows={follows} toEnd={toEnd} />
      </section>
      {selected !== null && <Detail key={selected} number={selected} groups={groups} close={() => show(null)} />}
    </div>
  );
}

/** Cache of the texts of calls, because the list is searched again for every new call. */
const texts = new WeakMap<Call, string>();

function matches(call: Call, wanted: string): boolean {
  let text = texts.get(call);
  if (text === undefined) {
    const parts = [call.number, call.operation, call.target, JSON.stringify(call.sent), JSON.stringify(call.answer)];
    text = parts.join(" ").toLowerCase();
    texts.set(call, text);
  }
  return text.includes(wanted);
}

function Row({ item, y, height, isSelected, isOpen, show }: {
  item: Item;
  y: number;
  height: number;
  isSelected: boolean;
  isOpen: boolean;
  show: (number: number) => void;
}) {
  const { call, group, isChild } = item;
  const isTask = group !== null && !isChild;
  return (
    <div
      role="listitem"
      class={`call ${isSelected ? "selected" : ""} ${isChild ? "child" : ""}`}
      style={{ transform: `translateY(${y}px)`, height: `${height}px` }}
      data-number={call.number}
    >
      {isTask ? (
        <button
          type="button"
          class="twist"
          aria-expanded={isOpen}
          aria-label={`${plural(group.others.length, "call")} of the task`}
          onClick={() => toggle(group.task)}
        >
          <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
            <path d="M3 1.5 7 5 3 8.5" fill="none" stroke="currentColor" stroke-width="1.5" />
          </svg>
        </button>
      ) : (
        <span class="twist" />
      )}
      <a
        href={addressOf(call.number)}
        class="main"
        aria-current={isSelected}
        onClick={(event) => {
          if (event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          show(call.number);
        }}
      >
        <span class="number">{call.number}</span>
        <span class="time">{time(call.real_started_at)}</span>
        <Vendor name={call.vendor} />
        <span class="what">
          <b>{call.operation ?? call.method}</b>
        </span>
        <span class="path" title={call.target}>
          {call.method} {call.target}
        </span>
        <span class="flags">
          {isTask && <TaskTag group={group} />}
          {call.fault && (
            <span class="flag fault" title={`Injected by ${call.fault.source}`}>
              fault
            </span>
          )}
          {call.warnings.length > 0 && (
            <span class="flag warn" title={call.warnings.map((each) => `${each.code}: ${each.detail}`).join("\n")}>
              {call.warnings.length === 1 ? "warning" : `${call.warnings.length} warnings`}
            </span>
          )}
        </span>
        <span class="who">{unmask(call.credential)}</span>
        <Status status={call.status} complete={call.is_complete} />
        <span class="took">{duration(call.duration_ms)}</span>
      </a>
    </div>
  );
}

function TaskTag({ group }: { group: Group }) {
  const state = [...group.others]
    .reverse()
    .map((call) => (call.answer?.json as { data?: { task_status?: string } } | undefined)?.data?.task_status)
    .find(Boolean);
  return (
    <span class={`tag ${state === "success" ? "good" : state === "error" ? "bad" : ""}`}>
      {state ?? "task"} · {plural(group.others.length, "call")}
    </span>
  );
}

function Filters({ find, setFind }: { find: string; setFind: (text: string) => void }) {
  const value = (name: string) => params.value.get(name) ?? "";
  const vendor = value("vendor");
  const names = vendor
    ? (operations.value[vendor]?.operations ?? [])
    : [...new Set(Object.values(operations.value).flatMap((each) => each.operations))];
  const isOn = (name: string) => value(name) === "true";
  return (
    <div class="filters" role="search" aria-label="Filter">
      <input
        id="find"
        type="search"
        placeholder="Find in the list"
        aria-label="Find in the list"
        value={find}
        onInput={(event) => setFind(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
      <select aria-label="Vendor" value={vendor} onChange={(event) => setParams({ vendor: event.currentTarget.value, operation: null })}>
        <option value="">All vendors</option>
        {[...vendors.value, "proxy", "server"].map((name) => (
          <option key={name} value={name}>
            {title(name)}
          </option>
        ))}
      </select>
      <select aria-label="Operation" value={value("operation")} onChange={(event) => setParams({ operation: event.currentTarget.value })}>
        <option value="">All operations</option>
        {names
          .filter((name) => name !== "webhook")
          .map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
      </select>
      <Chips
        label="Status"
        value={value("status")}
        options={[
          ["", "All"],
          ["2xx", "2xx"],
          ["4xx", "4xx"],
          ["5xx", "5xx"],
          ["none", "Dropped"],
        ]}
        change={(status) => setParams({ status })}
      />
      <button type="button" class="chip" aria-pressed={isOn("fault")} onClick={() => setParams({ fault: isOn("fault") ? null : "true" })}>
        Faults
      </button>
      <button type="button" class="chip" aria-pressed={isOn("warned")} onClick={() => setParams({ warned: isOn("warned") ? null : "true", warning: null })}>
        Warnings
      </button>
      {(isOn("warned") || value("warning")) && (
        <select aria-label="Kind of warning" value={value("warning")} onChange={(event) => setParams({ warning: event.currentTarget.value })}>
          <option value="">All warnings</option>
          {warningKinds.value.map((each) => (
            <option key={each.code} value={each.code}>
              {each.code}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

function Foot({ items, follows, toEnd }: { items: Item[]; follows: boolean; toEnd: () => void }) {
  const newest = items.length ? Math.max(...items.slice(-20).map((item) => item.call.number)) : 0;
  const seen = useRef(newest);
  if (follows || seen.current === 0) seen.current = newest;
  return (
    <div class="foot">
      <span class="muted">
        {plural(calls.length, "call")}
        {dropped.value > 0 && ` (the list keeps ${MOST}; ${dropped.value} older ones were dropped)`}
        {missed.value > 0 && ` · this page missed ${missed.value}, which the journal had already deleted`}
      </span>
      <span class="grow" />
      {kept.value && (
        <label class="keep" title="The emulator keeps the whole bodies of the newest calls in memory. The console needs them to show pictures and to send calls again.">
          <Switch on={kept.value.limit > 0} label="Keep pictures of new calls" change={(on) => void keepBodies(on)} />
          <span class="muted">pictures {kept.value.limit > 0 ? `· ${bytes(kept.value.limit)}` : "off"}</span>
        </label>
      )}
      <a class="button small" href={`${CONTROL}/calls.har${query(filters())}`} download="calls.har" title="Save the matching calls as an HTTP archive">
        HAR
      </a>
      <button type="button" class="small" aria-pressed={isPaused.value} onClick={() => pause(!isPaused.value)}>
        {isPaused.value ? `Continue (${held()} new)` : "Pause"}
      </button>
      {!follows && (
        <button type="button" class="small accent" onClick={toEnd}>
          Newest{newest > seen.current ? ` · ${newest - seen.current} new` : ""} ↓
        </button>
      )}
      <Delete
        label="Clear"
        ask={credential.value ? `Delete the recorded calls of ${credential.value}?` : "Delete the recorded calls of all credentials?"}
        action={() => attempt(forgetCalls)}
      />
    </div>
  );
}

function NoCalls({ isFiltered }: { isFiltered: boolean }) {
  if (connection.value === "off") {
    return (
      <Empty title="The journal is off">
        <p>
          Start the emulator without <code>FACE_EMULATOR_JOURNAL_CALLS=0</code> to record calls.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={isFiltered ? "No call matches" : "No calls yet"}>
      {isFiltered ? (
        <p>
          <button type="button" onClick={() => go(to("live"))}>
            Remove the filters
          </button>
        </p>
      ) : (
        <>
          <p>
            Point your client at <code>{location.origin}</code>. Its calls appear here as they arrive.
          </p>
          <p>
            Or try an API in the{" "}
            <a
              href={to("play/faceplusplus")}
              onClick={(event) => {
                event.preventDefault();
                go(to("play/faceplusplus"));
              }}
            >
              playground
            </a>
            .
          </p>
        </>
      )}
    </Empty>
  );
}
