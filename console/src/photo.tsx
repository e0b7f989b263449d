// The photo of the playground, and the parts that all its pages share.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CONTROL, get, notify } from "./api";
import { type Answer, type File_, type Language, type Request_, program } from "./request";
import { bytes, download, duration } from "./text";
import { Code, JsonView, Status } from "./ui";

export interface Photo extends File_ {
  url: string;
  width: number;
  height: number;
}

export const photo = signal<Photo | null>(null);
export const faces = signal<{ name: string; shows: string }[]>([]);
const isLoading = signal(false);

export async function take(file: Blob, name: string): Promise<void> {
  const url = URL.createObjectURL(file);
  const size = await new Promise<[number, number]>((done) => {
    const image = new Image();
    image.onload = () => done([image.naturalWidth, image.naturalHeight]);
    image.onerror = () => done([0, 0]); // send the file anyway, because the vendor has an error for such files
    image.src = url;
  });
  if (photo.value) URL.revokeObjectURL(photo.value.url);
  photo.value = { file, name, url, width: size[0], height: size[1] };
}

export async function draw(name: string): Promise<void> {
  isLoading.value = true;
  try {
    const answer = await fetch(`${CONTROL}/faces/${name}`);
    if (!answer.ok) throw new Error(`the test face ${name} cannot be drawn`);
    await take(await answer.blob(), `${name}.jpg`);
  } catch (error) {
    notify((error as Error).message, true);
  } finally {
    isLoading.value = false;
  }
}

function chosen(files: FileList | null | undefined): void {
  const file = files?.[0];
  if (file) void take(file, file.name);
}

/** A panel to choose a photo: a file, a dropped or pasted file, or a drawn test face. */
export function PhotoPanel() {
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const current = photo.value;
  useEffect(() => {
    if (faces.value.length === 0) {
      get<{ name: string; shows: string }[]>("/faces").then(
        (found) => {
          faces.value = found;
        },
        () => undefined,
      );
    }
    const paste = (event: ClipboardEvent) => chosen(event.clipboardData?.files);
    window.addEventListener("paste", paste);
    return () => window.removeEventListener("paste", paste);
  }, []);
  return (
    <section class="panel photo">
      <h2>Photo</h2>
      <button
        type="button"
        class={`drop ${isOver ? "over" : ""} ${current ? "has" : ""}`}
        onClick={() => input.current?.click()}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          chosen(event.dataTransfer?.files);
        }}
      >
        {isLoading.value ? (
          <span class="muted">Drawing the face…</span>
        ) : current ? (
          <>
            {current.width > 0 ? <img src={current.url} alt={`The photo ${current.name}`} /> : <span>Not a picture: {current.name}</span>}
            <span class="caption">
              {current.name} · {current.width > 0 && `${current.width} × ${current.height} · `}
              {bytes(current.file.size)}
            </span>
          </>
        ) : (
          <span>
            <b>Drop a photo</b>
            <br />
            or click to choose one
          </span>
        )}
      </button>
      <input ref={input} type="file" accept="image/*" hidden aria-label="Photo file" id="photo-file" onChange={(event) => chosen(event.currentTarget.files)} />
      <label class="field">
        <span>Or a drawn test face (a person who does not exist)</span>
        <select
          id="face"
          value=""
          onChange={(event) => {
            if (event.currentTarget.value) void draw(event.currentTarget.value);
            event.currentTarget.value = "";
          }}
        >
          <option value="">Choose a test face…</option>
          {faces.value.map((face) => (
            <option key={face.name} value={face.name}>
              {face.name}: {face.shows}
            </option>
          ))}
        </select>
      </label>
    </section>
  );
}

export function Slider(props: {
  name: string;
  hint?: string;
  min: number;
  max: number;
  step?: number;
  value: number;
  change: (value: number) => void;
  done?: () => void;
  digits?: number;
}) {
  const part = ((props.value - props.min) / (props.max - props.min)) * 100;
  const zero = ((0 - props.min) / (props.max - props.min)) * 100;
  return (
    <label class="slider" title={props.hint} data-name={props.name}>
      <span class="name">{props.name}</span>
      <input
        type="range"
        min={props.min}
        max={props.max}
        step={props.step ?? 1}
        value={props.value}
        aria-label={props.name}
        style={{ "--from": `${Math.min(part, Math.max(0, zero))}%`, "--to": `${Math.max(part, Math.max(0, zero))}%` }}
        onInput={(event) => props.change(Number(event.currentTarget.value))}
        onChange={() => props.done?.()}
        onDblClick={() => {
          props.change(Math.max(0, props.min));
          props.done?.();
        }}
      />
      <output>{props.value.toFixed(props.digits ?? 0)}</output>
    </label>
  );
}

/** Two pictures of the same size, with a divider that is moved with the mouse or the arrow keys. */
export function Divider({ before, after, busy }: { before: string; after: string; busy: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(50);
  const move = (event: PointerEvent) => {
    const bounds = box.current?.getBoundingClientRect();
    if (bounds) setAt(Math.min(100, Math.max(0, ((event.clientX - bounds.left) / bounds.width) * 100)));
  };
  const key = (event: KeyboardEvent) => {
    const step: Record<string, number> = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -20, PageUp: 20, Home: -100, End: 100 };
    const by = step[event.key];
    if (by === undefined) return;
    event.preventDefault();
    setAt((value) => Math.min(100, Math.max(0, value + by)));
  };
  return (
    <div
      class={`divider ${busy ? "busy" : ""}`}
      ref={box}
      onPointerDown={(event) => {
        (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
        move(event);
        box.current?.querySelector<HTMLElement>("[role=slider]")?.focus({ preventScroll: true });
      }}
      onPointerMove={(event) => event.buttons && move(event)}
    >
      <img src={after} alt="After" class="after" draggable={false} />
      <img src={before} alt="Before" class="before" draggable={false} style={{ clipPath: `inset(0 ${100 - at}% 0 0)` }} />
      <span class="label left" aria-hidden="true">
        before
      </span>
      <span class="label right" aria-hidden="true">
        after
      </span>
      <span
        class="handle"
        role="slider"
        tabIndex={0}
        aria-label="Divider between before and after"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(at)}
        aria-valuetext={`${Math.round(at)} % before`}
        style={{ left: `${at}%` }}
        onKeyDown={key}
      />
    </div>
  );
}

const LANGUAGES: readonly Language[] = ["curl", "Python", "JavaScript"];

/** The exact request as a program, and the raw response. */
export function Exchange({ request, answer, text, file }: {
  request: Request_ | null;
  answer: Answer | null;
  text?: (language: Language) => string;
  file: string;
}) {
  const [tab, setTab] = useState<Language | "Response">("curl");
  if (!request && !text) return null;
  const tabs = [...LANGUAGES, "Response"] as const;
  const step = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    if (next) setTab(next);
    const list = event.currentTarget as HTMLElement;
    requestAnimationFrame(() => list.querySelector<HTMLElement>("[aria-selected=true]")?.focus());
  };
  return (
    <section class="panel exchange">
      <div class="tabs" role="tablist" aria-label="Request and response" onKeyDown={step}>
        {tabs.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="exchange-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => setTab(name)}
          >
            {name}
            {name === "Response" && answer && <Status status={answer.status} />}
          </button>
        ))}
        <span class="grow" />
        {answer && <span class="muted took">{duration(answer.ms)}</span>}
      </div>
      <div role="tabpanel" id="exchange-panel" aria-labelledby={`tab-${tab}`}>
        {tab === "Response" ? (
          answer ? (
            <RawAnswer answer={answer} file={file} />
          ) : (
            <p class="muted">No response yet.</p>
          )
        ) : (
          <Code text={text ? text(tab) : program(request as Request_, tab)} label={`The request in ${tab}`} />
        )}
      </div>
    </section>
  );
}

function RawAnswer({ answer, file }: { answer: Answer; file: string }) {
  const [shown, setShown] = useState("");
  useEffect(() => {
    setShown("");
    if (answer.json === undefined && /text|html|xml/.test(answer.type)) void answer.blob.text().then(setShown);
  }, [answer]);
  if (answer.json !== undefined) return <JsonView value={answer.json} file={`${file}.json`} />;
  if (shown) return <Code text={shown} label="The response" />;
  return (
    <p class="row">
      <span>
        {answer.type || "bytes"}, {bytes(answer.blob.size)}
      </span>
      <button type="button" class="small" onClick={() => download(answer.blob, file)}>
        Save
      </button>
    </p>
  );
}

export function Note({ answer, children }: { answer: Answer | null; children?: ComponentChildren }) {
  if (!answer || answer.status < 400) return null;
  const found = answer.json as { error_message?: string; error?: string; error_code?: string; message?: string; detail?: string } | undefined;
  return (
    <p class="note error" role="status">
      <b>{answer.status}</b> {found?.error_message ?? found?.error_code ?? found?.message ?? found?.error ?? found?.detail ?? ""} {children}
    </p>
  );
}
