// The playground, which sends real requests to the vendors' APIs.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "./api";
import { Stage3d } from "./model";
import { Divider, Exchange, Note, PhotoPanel, type Photo, Slider, draw, faces, photo } from "./photo";
import { type Answer, type Field, type Request_, decode, perform, reshapeProgram } from "./request";
import type { Viewer } from "./scene";
import { OWN, go, sender, title, to, words } from "./state";
import { duration } from "./text";
import type { Json } from "./types";
import { A, Chips, Empty, Tree } from "./ui";

const OPERATIONS: Record<string, [string, string][]> = {
  faceplusplus: [
    ["3dface", "3D face"],
    ["detect", "Detect"],
    ["thousandlandmark", "Dense landmarks"],
    ["facialfeatures", "Facial features"],
    ["beautify", "Beautify"],
  ],
  metahuman: [
    ["head", "Head"],
    ["hair", "Hair"],
  ],
  perfectcorp: [["reshape", "Face reshape"]],
};

export function Play() {
  const vendor = words.value[1] && words.value[1] in OPERATIONS ? words.value[1] : "faceplusplus";
  const operations = OPERATIONS[vendor] ?? [];
  const wanted = words.value[2];
  const operation = operations.find(([name]) => name === wanted)?.[0] ?? operations[0]?.[0] ?? "";
  const Shown =
    vendor === "perfectcorp"
      ? Reshape
      : vendor === "metahuman"
        ? operation === "hair"
          ? Hair
          : Head
        : ({ "3dface": Face3d, detect: Detect, thousandlandmark: Dense, facialfeatures: Features, beautify: Beautify }[operation] ?? Face3d);
  return (
    <div class="page play">
      <header class="head">
        <div>
          <h1>Playground</h1>
          <p class="lead">
            Sends real requests to this emulator with the credential <code>{sender.value}</code>. They appear in <A href={to("live")}>Live</A>.
          </p>
        </div>
      </header>
      <nav class="subnav" aria-label="API">
        {Object.keys(OPERATIONS).map((name) => (
          <A key={name} href={to(`play/${name}`)} class={`vendor-tab ${name === vendor ? "on" : ""}`} data-vendor={name} aria-current={name === vendor ? "page" : undefined}>
            <i aria-hidden="true" />
            {title(name)}
          </A>
        ))}
        {operations.length > 1 && (
          <>
            <span class="rule" aria-hidden="true" />
            <Chips label="Operation" value={operation} options={operations.map(([name, shown]) => [name, shown] as const)} change={(name) => go(to(`play/${vendor}/${name}`))} />
          </>
        )}
      </nav>
      <Shown key={`${vendor}/${operation}/${sender.value}`} />
    </div>
  );
}

function Layout({ controls, stage, below }: { controls: ComponentChildren; stage: ComponentChildren; below: ComponentChildren }) {
  return (
    <div class="bench">
      <div class="controls">
        <PhotoPanel />
        {controls}
      </div>
      <div class="results">
        {photo.value ? stage : <Start />}
        {photo.value && below}
      </div>
    </div>
  );
}

const SUGGESTED = ["ok-frontal", "ok-smile", "long-hair", "glasses"];

function Start() {
  return (
    <div class="panel stage start">
      <Empty title="Choose a photo or a drawn test face">
        <p>The photo is sent to this emulator only.</p>
        <div class="row wrap center">
          {SUGGESTED.filter((name) => faces.value.length === 0 || faces.value.some((face) => face.name === name)).map((name) => (
            <button type="button" key={name} onClick={() => void draw(name)}>
              {name}
            </button>
          ))}
        </div>
      </Empty>
    </div>
  );
}

interface Run {
  answer: Answer | null;
  busy: boolean;
  problem: string;
}

/** Send a request each time it changes, with a short delay. A newer request cancels an older one. */
function useRequest(request: Request_ | null, key: string, wait = 250): Run & { now: () => void } {
  const [run, setRun] = useState<Run>({ answer: null, busy: false, problem: "" });
  const abort = useRef<AbortController | null>(null);
  const timer = useRef(0);
  const latest = useRef(request);
  const wanted = useRef("");
  const sent = useRef("");
  latest.current = request;
  wanted.current = key;
  const now = () => {
    clearTimeout(timer.current);
    const mine = latest.current;
    if (!mine || sent.current === wanted.current) return;
    sent.current = wanted.current;
    abort.current?.abort();
    const control = new AbortController();
    abort.current = control;
    setRun((old) => ({ ...old, busy: true, problem: "" }));
    perform(mine, control.signal).then(
      (answer) => !control.signal.aborted && setRun({ answer, busy: false, problem: "" }),
      (error: Error) => !control.signal.aborted && setRun({ answer: null, busy: false, problem: `The connection ended without a response: ${error.message}` }),
    );
  };
  useEffect(() => {
    if (!request) return;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(now, sent.current ? wait : 0);
  }, [key]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      abort.current?.abort();
    },
    [],
  );
  return { ...run, now };
}

function Busy({ on, what }: { on: boolean; what: string }) {
  return on ? (
    <div class="working" role="status">
      <i aria-hidden="true" />
      {what}
    </div>
  ) : null;
}

function Problem({ text }: { text: string }) {
  return text ? (
    <p class="note error" role="status">
      {text}
    </p>
  ) : null;
}

function keyFields(): Field[] {
  const [key = "", secret] = sender.value.split(":");
  return [
    ["api_key", key],
    ["api_secret", secret ?? "secret"],
  ];
}

const idOf = (shot: Photo | null) => shot?.url ?? "";

/* Face++ */

function Face3d() {
  const shot = photo.value;
  const [more, setMore] = useState<Photo[]>([]);
  const [isOver, setOver] = useState(false);
  const [opacity, setOpacity] = useState(0.85);
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const request: Request_ | null = shot && {
    method: "POST",
    path: "/facepp/v1/3dface",
    fields: [
      ...keyFields(),
      ["texture", "1"],
      ["mtl", "1"],
      ...[shot, ...more].map((each, index) => [`image_file_${index + 1}`, each] as const),
    ],
  };
  const run = useRequest(request, [shot, ...more].map(idOf).join());
  const data = run.answer?.status === 200 ? (run.answer.json as { obj_file: string; texture_img?: string; transfer_matrix: number[][] } | undefined) : undefined;

  useEffect(() => {
    if (!viewer || !data?.obj_file) return;
    viewer.alone();
    setOver(false);
    const texture = data.texture_img ? decode(data.texture_img, "image/jpeg") : null;
    void viewer.showObj(atob(data.obj_file), texture);
  }, [viewer, data]);
  useEffect(() => {
    if (!viewer || !data || !shot) return;
    if (isOver) void viewer.overlay(shot.file, data.transfer_matrix[0] ?? []).then(() => viewer.setOpacity(opacity));
    else viewer.alone();
  }, [viewer, isOver]);
  useEffect(() => {
    if (isOver) viewer?.setOpacity(opacity);
  }, [opacity]);

  const add = (name: string) => drawInto(name, (extra) => setMore([...more, extra]));
  return (
    <Layout
      controls={
        <section class="panel">
          <h2>More photos</h2>
          <p class="muted">Add up to two more photos of the same person, one from each side. The response still has one mesh.</p>
          {more.map((extra, index) => (
            <div class="row" key={extra.url}>
              <img class="thumb" src={extra.url} alt={extra.name} />
              <span class="grow">{extra.name}</span>
              <button type="button" class="small" onClick={() => setMore(more.filter((_, at) => at !== index))}>
                Remove
              </button>
            </div>
          ))}
          {more.length < 2 && (
            <label class="field">
              <span>Add a photo file</span>
              <input
                type="file"
                accept="image/jpeg"
                onChange={(event) => {
                  const file = event.currentTarget.files?.[0];
                  if (file) setMore([...more, { file, name: file.name, url: URL.createObjectURL(file), width: 0, height: 0 }]);
                  event.currentTarget.value = "";
                }}
              />
            </label>
          )}
          {more.length < 2 && (
            <label class="field">
              <span>Or a drawn test face, from the side</span>
              <select
                value=""
                onChange={(event) => {
                  if (event.currentTarget.value) void add(event.currentTarget.value);
                  event.currentTarget.value = "";
                }}
              >
                <option value="">Choose a test face…</option>
                {["ok-left", "ok-right"].map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          )}
        </section>
      }
      stage={
        <div class="panel stage">
          <Stage3d ready={setViewer} label="The head that Face++ returns">
            <button type="button" aria-pressed={isOver} disabled={!data} onClick={() => setOver(!isOver)}>
              Show over the photo
            </button>
            {isOver && (
              <label class="inline">
                <span>Opacity</span>
                <input type="range" min={0} max={1} step={0.05} value={opacity} onInput={(event) => setOpacity(Number(event.currentTarget.value))} />
              </label>
            )}
          </Stage3d>
          <Busy on={run.busy} what="Reconstructing the head" />
          <Problem text={run.problem} />
          <Note answer={run.answer} />
        </div>
      }
      below={<Exchange request={request} answer={run.answer} file="3dface" />}
    />
  );
}

async function drawInto(name: string, done: (shot: Photo) => void): Promise<void> {
  const file = await (await fetch(`/_emulator/faces/${name}`)).blob();
  done({ file, name: `${name}.jpg`, url: URL.createObjectURL(file), width: 0, height: 0 });
}

interface Point {
  x: number;
  y: number;
}

interface Rectangle {
  top: number;
  left: number;
  width: number;
  height: number;
}

interface DetectedFace {
  face_rectangle: Rectangle;
  landmark?: Record<string, Point>;
  attributes?: Record<string, Json>;
}

function Marked({ boxes, points, radius }: { boxes: Rectangle[]; points: [string, Point, string][]; radius: number }) {
  const shot = photo.value;
  const [pointed, setPointed] = useState("");
  if (!shot?.width) return null;
  return (
    <div class="marked">
      <div class="frame" style={{ aspectRatio: `${shot.width} / ${shot.height}` }}>
        <img src={shot.url} alt={`The photo ${shot.name}`} />
        <svg viewBox={`0 0 ${shot.width} ${shot.height}`} role="img" aria-label={`${points.length} landmarks on ${boxes.length} faces`}>
          {boxes.map((box, index) => (
            <rect key={index} x={box.left} y={box.top} width={box.width} height={box.height} rx={shot.width / 120} />
          ))}
          {points.map(([name, point, kind], index) => (
            <circle key={index} cx={point.x} cy={point.y} r={(radius * shot.width) / 640} data-kind={kind} onPointerEnter={() => setPointed(name)}>
              <title>{name}</title>
            </circle>
          ))}
        </svg>
      </div>
      <p class="muted pointed">{pointed || "Point at a landmark to see its name."}</p>
    </div>
  );
}

/** Return an attribute as one line: its value, or the name and the value of each of its parts. */
function summary(value: Json): string {
  if (value === null || typeof value !== "object") return typeof value === "number" ? String(Math.round(value * 10) / 10) : String(value);
  const parts = Object.entries(value).filter(([name]) => name !== "threshold");
  if (parts.length === 1) return summary(parts[0]?.[1] ?? null);
  return parts.map(([name, each]) => `${name.replaceAll("_", " ")} ${summary(each)}`).join(", ");
}

function Attributes({ values }: { values: Record<string, Json> }) {
  return (
    <dl class="pairs">
      {Object.entries(values).map(([name, value]) => (
        <>
          <dt key={name}>{name}</dt>
          <dd>{summary(value)}</dd>
        </>
      ))}
    </dl>
  );
}

const ATTRIBUTES = "gender,age,smiling,headpose,facequality,blur,eyestatus,emotion,beauty,mouthstatus,eyegaze,skinstatus";

function kindOf(name: string): string {
  return ["contour", "hairline", "eyebrow", "eye", "nose", "mouth", "lip"].find((part) => name.includes(part)) ?? "face";
}

function Detect() {
  const shot = photo.value;
  const [landmarks, setLandmarks] = useState<"1" | "2" | "0">("2");
  const request: Request_ | null = shot && {
    method: "POST",
    path: "/facepp/v3/detect",
    fields: [...keyFields(), ["return_landmark", landmarks], ["return_attributes", ATTRIBUTES], ["image_file", shot]],
  };
  const run = useRequest(request, idOf(shot) + landmarks);
  const found = (run.answer?.json as { faces?: DetectedFace[] } | undefined)?.faces ?? [];
  const points = found.flatMap((face) => Object.entries(face.landmark ?? {}).map(([name, point]) => [name, point, kindOf(name)] as [string, Point, string]));
  return (
    <Layout
      controls={
        <>
          <section class="panel">
            <h2>Landmarks</h2>
            <Chips
              label="Landmarks"
              value={landmarks}
              options={[
                ["2", "106"],
                ["1", "83"],
                ["0", "none"],
              ]}
              change={setLandmarks}
            />
          </section>
          {found.map((face, index) => (
            <section class="panel" key={index}>
              <h2>{found.length > 1 ? `Face ${index + 1}` : "Attributes"}</h2>
              <Attributes values={face.attributes ?? {}} />
            </section>
          ))}
        </>
      }
      stage={
        <div class="panel stage picture">
          <Marked boxes={found.map((face) => face.face_rectangle)} points={points} radius={2.6} />
          {run.answer?.status === 200 && found.length === 0 && <p class="note">No face was found. For this operation, this is not an error.</p>}
          <Busy on={run.busy} what="Looking for faces" />
          <Problem text={run.problem} />
          <Note answer={run.answer} />
        </div>
      }
      below={<Exchange request={request} answer={run.answer} file="detect" />}
    />
  );
}

const GROUPS = ["left_eyebrow", "right_eyebrow", "left_eye", "left_eye_eyelid", "right_eye", "right_eye_eyelid", "nose", "mouse", "face"];

function Dense() {
  const shot = photo.value;
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const groups = GROUPS.filter((name) => !off.has(name));
  const request: Request_ | null =
    shot && groups.length
      ? {
          method: "POST",
          path: "/facepp/v1/face/thousandlandmark",
          fields: [...keyFields(), ["return_landmark", off.size ? groups.join(",") : "all"], ["image_file", shot]],
        }
      : null;
  const run = useRequest(request, idOf(shot) + groups.join());
  const face = (run.answer?.json as { face?: { face_rectangle?: Rectangle; landmark?: Record<string, Record<string, Point>> } } | undefined)?.face;
  const points = Object.values(face?.landmark ?? {})
    .flatMap((group) => Object.entries(group))
    .filter(([, point]) => typeof point === "object")
    .map(([name, point]) => [name, point, kindOf(name)] as [string, Point, string]);
  return (
    <Layout
      controls={
        <section class="panel">
          <h2>Groups</h2>
          {GROUPS.map((name) => (
            <label class="check" key={name}>
              <input
                type="checkbox"
                checked={!off.has(name)}
                onChange={() => {
                  const next = new Set(off);
                  if (!next.delete(name)) next.add(name);
                  setOff(next);
                }}
              />
              {name} {name === "mouse" && <span class="muted">the vendor's name for the mouth</span>}
            </label>
          ))}
          <p class="muted">{points.length} landmarks</p>
        </section>
      }
      stage={
        <div class="panel stage picture">
          <Marked boxes={face?.face_rectangle ? [face.face_rectangle] : []} points={points} radius={1.3} />
          <Busy on={run.busy} what="Measuring" />
          <Problem text={run.problem} />
          <Note answer={run.answer} />
        </div>
      }
      below={<Exchange request={request} answer={run.answer} file="thousandlandmark" />}
    />
  );
}

function Features() {
  const shot = photo.value;
  const request: Request_ | null = shot && {
    method: "POST",
    path: "/facepp/v1/facialfeatures",
    fields: [...keyFields(), ["return_imagereset", "1"], ["image_file", shot]],
  };
  const run = useRequest(request, idOf(shot));
  const data = run.answer?.json as { image_reset?: string; result?: Record<string, Json>; face_rectangle?: Rectangle } | undefined;
  const straight = useMemo(() => (data?.image_reset ? URL.createObjectURL(decode(data.image_reset, "image/jpeg")) : ""), [data?.image_reset]);
  return (
    <Layout
      controls={null}
      stage={
        <div class="panel stage picture two">
          {straight && (
            <figure>
              <img src={straight} alt="The photo, turned until the head is upright" />
              <figcaption class="muted">The photo, turned until the head is upright. Lengths in millimetres, angles in degrees.</figcaption>
            </figure>
          )}
          <div class="measures">
            {Object.entries(data?.result ?? {}).map(([part, values]) => (
              <details key={part} open>
                <summary>{part.replaceAll("_", " ")}</summary>
                {values !== null && typeof values === "object" ? (
                  Object.entries(values).map(([name, value]) => <Tree key={name} name={name} value={value} open={3} />)
                ) : (
                  <Tree value={values} />
                )}
              </details>
            ))}
          </div>
          <Busy on={run.busy} what="Measuring" />
          <Problem text={run.problem} />
          <Note answer={run.answer} />
        </div>
      }
      below={<Exchange request={request} answer={run.answer} file="facialfeatures" />}
    />
  );
}

const STRENGTHS = ["whitening", "smoothing", "thinface", "shrink_face", "enlarge_eye", "remove_eyebrow"];

interface Schema {
  properties: Record<string, { minimum?: number; maximum?: number; description?: string; enum?: string[]; anyOf?: { enum?: string[] }[]; $ref?: string }>;
}

interface OpenApi {
  components: { schemas: Record<string, Schema> };
}

function useOpenApi(vendor: string): OpenApi | null {
  const [found, setFound] = useState<OpenApi | null>(null);
  useEffect(() => {
    get<OpenApi>(`/openapi/${vendor}.json`).then(setFound, () => undefined);
  }, [vendor]);
  return found;
}

function Beautify() {
  const shot = photo.value;
  const api = useOpenApi("faceplusplus");
  const [values, setValues] = useState<Record<string, number>>({ whitening: 50, smoothing: 50, thinface: 50, shrink_face: 50, enlarge_eye: 50, remove_eyebrow: 0 });
  const [filter, setFilter] = useState("");
  const filters = JSON.stringify(api?.components.schemas.BeautifyV2Fields?.properties.filter_type ?? "").match(/"enum":\[([^\]]*)\]/)?.[1];
  const request: Request_ | null = shot && {
    method: "POST",
    path: "/facepp/v2/beautify",
    fields: [
      ...keyFields(),
      ...STRENGTHS.map((name) => [name, String(values[name] ?? 0)] as const),
      ...(filter ? ([["filter_type", filter]] as const) : []),
      ["image_file", shot],
    ],
  };
  const run = useRequest(request, idOf(shot) + JSON.stringify(values) + filter);
  const result = (run.answer?.json as { result?: string } | undefined)?.result;
  const after = useMemo(() => (result ? URL.createObjectURL(decode(result, "image/jpeg")) : ""), [result]);
  const properties = api?.components.schemas.BeautifyV2Fields?.properties;
  return (
    <Layout
      controls={
        <section class="panel">
          <h2>Strengths</h2>
          {STRENGTHS.map((name) => (
            <Slider key={name} name={name} hint={properties?.[name]?.description ?? ""} min={0} max={100} value={values[name] ?? 0} change={(value) => setValues((old) => ({ ...old, [name]: value }))} done={() => setTimeout(run.now)} />
          ))}
          <label class="field">
            <span>Filter</span>
            <select value={filter} onChange={(event) => setFilter(event.currentTarget.value)}>
              <option value="">none</option>
              {(JSON.parse(`[${filters ?? ""}]`) as string[]).map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        </section>
      }
      stage={
        <div class="panel stage picture">
          {shot && <Divider before={shot.url} after={after || shot.url} busy={run.busy} />}
          <Busy on={run.busy && !after} what="Retouching" />
          <Problem text={run.problem} />
          <Note answer={run.answer} />
        </div>
      }
      below={<Exchange request={request} answer={run.answer} file="beautify" />}
    />
  );
}

/* MetaHuman SDK */

interface Recon {
  face: { textureUrl: string; blendShapes: number[]; blinkCorrectionCoeff: number };
  hair: { color: string; type: string };
  skin: { color: string };
  accessories: string[];
  gender: string;
}

/** Upload an empty schema, which the GLB constructor needs, unless the token may have a schema of its own. */
async function ensureSchema(token: string): Promise<void> {
  if (token !== OWN) {
    const known = await perform({ method: "POST", path: "/glb_const/schema", fields: [["token", token]] });
    if (known.status === 200) return;
  }
  await perform({
    method: "PUT",
    path: "/glb_const/schema",
    fields: [
      ["token", token],
      ["schema", { file: new Blob(["{}"], { type: "application/json" }), name: "schema.json" }],
    ],
  });
}

/** Return the bytes of a model: the response or, with the setting `model_response`, the file at its URL. */
async function modelOf(answer: Answer): Promise<ArrayBuffer> {
  const url = (answer.json as { result?: { modelUrl?: string } } | undefined)?.result?.modelUrl;
  return url ? (await fetch(url)).arrayBuffer() : answer.blob.arrayBuffer();
}

function Head() {
  const shot = photo.value;
  const token = sender.value;
  const request: Request_ | null = shot && {
    method: "POST",
    path: "/face_recon/run_pipeline",
    fields: [
      ["token", token],
      ["image_bytes", shot],
    ],
  };
  const run = useRequest(request, idOf(shot));
  const found = run.answer?.status === 200 ? (run.answer.json as { result: Recon } | undefined)?.result : undefined;
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const [shapes, setShapes] = useState<number[]>([]);
  const [texture, setTexture] = useState<Blob | null>(null);
  const [assembled, setAssembled] = useState<Answer | null>(null);
  const [sent, setSent] = useState<Request_ | null>(null);
  const [hair, setHair] = useState<"" | "card" | "volume">("");
  const [tab, setTab] = useState<"shapes" | "expression">("shapes");
  const [morphs, setMorphs] = useState<string[]>([]);
  const [weights, setWeights] = useState<Record<string, number>>({});
  const [problem, setProblem] = useState("");
  const latest = useRef(0);
  const isWorking = useRef(false);

  useEffect(() => {
    if (!found) return;
    setShapes(found.face.blendShapes);
    setTexture(null);
    const load = async () => {
      await ensureSchema(token);
      setTexture(await (await fetch(found.face.textureUrl)).blob());
    };
    load().catch((error: Error) => setProblem(error.message));
  }, [found]);

  useEffect(() => {
    if (!viewer || !texture || !found || shapes.length === 0) return;
    const mine = ++latest.current;
    const assemble = async () => {
      // Send one request at a time. The next request has the newest coefficients.
      if (isWorking.current) return;
      isWorking.current = true;
      try {
        const config = { result: { ...found, face: { ...found.face, blendShapes: shapes } } };
        const request: Request_ = {
          method: "POST",
          path: "/glb_const/assemble",
          fields: [
            ["token", token],
            ["head_uv", { file: texture, name: "texture.png" }],
            ["head_config", { file: new Blob([JSON.stringify(config)], { type: "application/json" }), name: "head.json" }],
            ["models_congig", { file: new Blob(["{}"], { type: "application/json" }), name: "models.json" }],
            ["add_facs", "true"],
          ],
        };
        setSent(request);
        const answer = await perform(request);
        setAssembled(answer);
        if (answer.status === 200) {
          await viewer.showGlb(await modelOf(answer), "head");
          setMorphs(viewer.morphs());
          for (const [name, weight] of Object.entries(weights)) viewer.setMorph(name, weight);
        }
      } catch (error) {
        setProblem((error as Error).message);
      } finally {
        isWorking.current = false;
        if (latest.current !== mine) setShapes((old) => [...old]);
      }
    };
    void assemble();
  }, [viewer, texture, shapes]);

  useEffect(() => {
    if (!viewer || !shot) return;
    if (!hair) {
      viewer.hide("hair");
      return;
    }
    perform({
      method: "POST",
      path: "/hair_recon/run_pipeline",
      fields: [
        ["token", token],
        ["image_bytes", shot],
        ["mode", hair],
      ],
    }).then(
      async (answer) => {
        if (answer.status === 200) await viewer.showGlb(await modelOf(answer), "hair");
        else setProblem(`hair: HTTP ${answer.status}`);
      },
      (error: Error) => setProblem(error.message),
    );
  }, [viewer, hair, idOf(shot)]);

  const change = (index: number, value: number) => setShapes((old) => old.map((each, at) => (at === index ? value : each)));
  return (
    <Layout
      controls={
        found && (
          <>
            <section class="panel">
              <h2>Attributes</h2>
              <dl class="pairs">
                <dt>gender</dt>
                <dd>{found.gender}</dd>
                <dt>hair</dt>
                <dd>
                  <i class="swatch" style={{ background: found.hair.color }} /> {found.hair.type} <code>{found.hair.color}</code>
                </dd>
                <dt>skin</dt>
                <dd>
                  <i class="swatch" style={{ background: found.skin.color }} /> <code>{found.skin.color}</code>
                </dd>
                <dt>accessories</dt>
                <dd>{found.accessories.join(", ") || "none"}</dd>
                <dt>blink</dt>
                <dd>{found.face.blinkCorrectionCoeff}</dd>
              </dl>
              <p class="muted">Gender and colours are estimates from the photo.</p>
            </section>
            <section class="panel">
              <div class="row">
                <Chips
                  label="Sliders"
                  value={tab}
                  options={[
                    ["shapes", `${shapes.length} coefficients`],
                    ["expression", `${morphs.length} blend shapes`],
                  ]}
                  change={setTab}
                />
              </div>
              {tab === "shapes" ? (
                <>
                  <div class="row wrap">
                    <button type="button" class="small" onClick={() => setShapes(found.face.blendShapes)}>
                      As in the photo
                    </button>
                    <button type="button" class="small" onClick={() => setShapes(shapes.map(() => 0))}>
                      Average head
                    </button>
                    <button type="button" class="small" onClick={() => setShapes(found.face.blendShapes.map((value) => value * 2))}>
                      Exaggerated
                    </button>
                  </div>
                  <div class="many" tabIndex={0} role="group" aria-label="Shape coefficients in standard deviations">
                    {shapes.map((value, index) => (
                      <Slider key={index} name={`blendShapes[${index}]`} min={-4} max={4} step={0.05} digits={2} value={value} change={(next) => change(index, next)} />
                    ))}
                  </div>
                </>
              ) : (
                <>
                  <p class="muted">The 52 blend shapes of ARKit. The GLB contains them because the request has add_facs.</p>
                  <div class="many" tabIndex={0} role="group" aria-label="Weights of the blend shapes">
                    {morphs.map((name) => (
                      <Slider
                        key={name}
                        name={name}
                        min={0}
                        max={1}
                        step={0.01}
                        digits={2}
                        value={weights[name] ?? 0}
                        change={(value) => {
                          setWeights((old) => ({ ...old, [name]: value }));
                          viewer?.setMorph(name, value);
                        }}
                      />
                    ))}
                  </div>
                </>
              )}
            </section>
          </>
        )
      }
      stage={
        <>
          <div class="panel stage">
            <Stage3d ready={setViewer} label="The head of the GLB constructor">
              <Chips
                label="Hair"
                value={hair}
                options={[
                  ["", "no hair"],
                  ["card", "cards"],
                  ["volume", "volume"],
                ]}
                change={setHair}
              />
            </Stage3d>
            {found && (
              <a class="texture" href={found.face.textureUrl} target="_blank" rel="noreferrer">
                <img src={found.face.textureUrl} alt="UV texture of the head" />
              </a>
            )}
            <Busy on={run.busy} what="Reconstructing the face" />
            <Problem text={run.problem || problem} />
            <Note answer={run.answer} />
            <Note answer={assembled}>(GLB constructor)</Note>
          </div>
          <div class="row end wrap">
            {assembled?.status === 200 && (
              <span class="muted">
                The head was assembled in <span class="took">{duration(assembled.ms)}</span>.
              </span>
            )}
          </div>
        </>
      }
      below={
        <>
          <Exchange request={request} answer={run.answer} file="metahuman" />
          {sent && (
            <details class="more">
              <summary>The request to the GLB constructor</summary>
              <Exchange request={sent} answer={assembled} file="head.glb" />
            </details>
          )}
        </>
      }
    />
  );
}

function Hair() {
  const shot = photo.value;
  const [mode, setMode] = useState<"card" | "volume">("card");
  const [color, setColor] = useState("");
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const request: Request_ | null = shot && {
    method: "POST",
    path: "/hair_recon/run_pipeline",
    fields: [["token", sender.value], ["image_bytes", shot], ["mode", mode], ...(color ? ([["hair_color", color]] as const) : [])],
  };
  const run = useRequest(request, idOf(shot) + mode + color, 400);
  useEffect(() => {
    if (viewer && run.answer?.status === 200) void modelOf(run.answer).then((data) => viewer.showGlb(data, "hair"));
  }, [viewer, run.answer]);
  return (
    <Layout
      controls={
        <section class="panel">
          <h2>Model</h2>
          <Chips
            label="Mode"
            value={mode}
            options={[
              ["card", "Cards"],
              ["volume", "Volume"],
            ]}
            change={setMode}
          />
          <label class="field">
            <span>Colour</span>
            <span class="row">
              <input type="color" value={color || "#6a3522"} onChange={(event) => setColor(event.currentTarget.value)} />
              <button type="button" class="small" disabled={!color} onClick={() => setColor("")}>
                As in the photo
              </button>
            </span>
          </label>
        </section>
      }
      stage={
        <div class="panel stage">
          <Stage3d ready={setViewer} label="The hair" />
          <Busy on={run.busy} what="Reconstructing the hair" />
          <Problem text={run.problem} />
          <Note answer={run.answer} />
        </div>
      }
      below={<Exchange request={request} answer={run.answer} file="hair.glb" />}
    />
  );
}

/* Perfect Corp */

const PARTS: [string, RegExp][] = [
  ["Face", /^(face|cheek|jaw)/],
  ["Chin", /^chin/],
  ["Eyes", /^eye/],
  ["Nose", /^nose/],
  ["Lips", /^lip/],
];

const SIDED = /_(left|right)$/;

const POLL_MS = 220;

interface Reshaped {
  url: string;
  ms: number;
}

/** Register and upload a photo, and return the id of the file. */
async function upload(shot: Photo, headers: Record<string, string>, report: (answer: Answer) => void): Promise<string> {
  const registered = await perform({
    method: "POST",
    path: "/s2s/v2.0/file",
    headers,
    json: { files: [{ content_type: shot.file.type || "image/jpeg", file_name: shot.name, file_size: shot.file.size }] },
  });
  report(registered);
  if (registered.status >= 400) throw new Error("");
  const file = (registered.json as { data: { files: { file_id: string; requests: { url: string; headers: Record<string, string> }[] }[] } }).data.files[0];
  const request = file?.requests[0];
  if (!file || !request) throw new Error("the registration has no upload URL");
  const sent = { "Content-Type": request.headers["Content-Type"] ?? "image/jpeg" };
  const done = await fetch(request.url, { method: "PUT", body: shot.file, headers: sent });
  if (!done.ok) throw new Error(`the upload was refused: HTTP ${done.status}`);
  return file.file_id;
}

function Reshape() {
  const shot = photo.value;
  const key = sender.value;
  const api = useOpenApi("perfectcorp");
  const [values, setValues] = useState<Record<string, number>>({});
  const [skin, setSkin] = useState<Record<string, number>>({});
  const [index, setIndex] = useState(0);
  const [after, setAfter] = useState<Reshaped | null>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [state, setState] = useState("");
  const [problem, setProblem] = useState("");
  const uploaded = useRef<{ photo: string; id: Promise<string> } | null>(null);
  const timer = useRef(0);
  const running = useRef<AbortController | null>(null);
  const features = api?.components.schemas.Features?.properties ?? {};
  const globals = api?.components.schemas.Global?.properties ?? {};
  const changed = Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== 0 || SIDED.test(name)));
  const body = { version: "1.0", index, features: changed, global: skin } as Record<string, Json>;
  const isNeutral = Object.values(changed).every((value) => value === 0);
  const headers = { Authorization: `Bearer ${key}` };

  const run = async () => {
    clearTimeout(timer.current);
    running.current?.abort();
    if (!shot) return;
    if (isNeutral) {
      setAfter(null);
      setState("");
      return;
    }
    const control = new AbortController();
    running.current = control;
    const step = async (request: Request_): Promise<Answer> => {
      const found = await perform(request, control.signal);
      setAnswer(found);
      if (found.status >= 400) throw new Error("");
      return found;
    };
    const began = performance.now();
    setProblem("");
    try {
      if (uploaded.current?.photo !== shot.url) {
        setState("uploading");
        // All tasks of a photo share one upload, even if a newer task cancels the one that started the upload.
        uploaded.current = { photo: shot.url, id: upload(shot, headers, setAnswer) };
      }
      let id: string;
      try {
        id = await uploaded.current.id;
      } catch (error) {
        uploaded.current = null;
        throw error;
      }
      if (control.signal.aborted) return;
      setState("creating the task");
      const created = await step({ method: "POST", path: "/s2s/v2.0/task/face-reshape", headers, json: { ...body, src_file_id: id } });
      const task = (created.json as { data: { task_id: string } }).data.task_id;
      for (;;) {
        await new Promise((done) => setTimeout(done, POLL_MS));
        const poll = await step({ method: "GET", path: `/s2s/v2.0/task/face-reshape/${task}`, headers });
        const data = (poll.json as { data: { task_status: string; error: string | null; results: { url: string } | null } }).data;
        setState(`task: ${data.task_status}`);
        if (data.task_status === "error") {
          setProblem(`The task failed: ${data.error}`);
          break;
        }
        if (data.results) {
          const result = await fetch(data.results.url, { signal: control.signal });
          if (!result.ok) throw new Error(`the result cannot be downloaded: HTTP ${result.status}`);
          const url = URL.createObjectURL(await result.blob());
          setAfter((old) => {
            if (old) setTimeout(() => URL.revokeObjectURL(old.url), 5000);
            return { url, ms: performance.now() - began };
          });
          break;
        }
      }
      setState("");
    } catch (error) {
      if (control.signal.aborted) return;
      setState("");
      setProblem((error as Error).message);
    }
  };
  const latest = useRef(run);
  latest.current = run;
  const soon = (ms: number) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void latest.current(), ms);
  };
  useEffect(() => {
    setAfter(null);
    soon(0);
    return () => {
      clearTimeout(timer.current);
      running.current?.abort();
    };
  }, [idOf(shot), index]);

  const set = (name: string, value: number) => {
    setValues((old) => ({ ...old, [name]: value }));
    soon(400);
  };
  const reset = (names: string[]) => {
    setValues((old) => Object.fromEntries(Object.entries(old).filter(([name]) => !names.includes(name))));
    soon(0);
  };
  return (
    <Layout
      controls={
        <section class="panel">
          <h2 class="row">
            <span class="grow">{Object.keys(features).length} parameters</span>
            <button
              type="button"
              class="small"
              onClick={() => {
                setValues({});
                setSkin({});
                soon(0);
              }}
            >
              Reset all
            </button>
          </h2>
          {PARTS.map(([part, pattern]) => {
            const names = Object.keys(features).filter((name) => pattern.test(name));
            const set_ = names.filter((name) => values[name] !== undefined);
            return (
              <details class="group" key={part} open={part === "Face" || part === "Eyes"}>
                <summary>
                  {part} {set_.length > 0 && <span class="tag">{set_.length}</span>}
                </summary>
                {names.map((name) => (
                  <Slider
                    key={name}
                    name={name}
                    hint={features[name]?.description ?? ""}
                    min={features[name]?.minimum ?? limit(features[name], "minimum", -100)}
                    max={features[name]?.maximum ?? limit(features[name], "maximum", 100)}
                    value={values[name] ?? 0}
                    change={(value) => set(name, value)}
                    done={() => soon(0)}
                  />
                ))}
                {set_.length > 0 && (
                  <button type="button" class="small" onClick={() => reset(names)}>
                    Reset {part.toLowerCase()}
                  </button>
                )}
              </details>
            );
          })}
          <details class="group">
            <summary>Skin</summary>
            {Object.keys(globals).map((name) => (
              <Slider
                key={name}
                name={name}
                hint={globals[name]?.description ?? ""}
                min={0}
                max={100}
                value={skin[name] ?? 0}
                change={(value) => {
                  setSkin((old) => ({ ...old, [name]: value }));
                  soon(400);
                }}
                done={() => soon(0)}
              />
            ))}
          </details>
          <label class="field">
            <span>Face to reshape, counted from 0</span>
            <input type="number" min={0} max={20} value={index} onChange={(event) => setIndex(Number(event.currentTarget.value))} />
          </label>
        </section>
      }
      stage={
        <div class="panel stage picture">
          {shot && <Divider before={shot.url} after={after?.url ?? shot.url} busy={state !== ""} />}
          <p class="muted row center" role="status">
            {state ||
              (after ? (
                <span>
                  From request to picture: <span class="took">{duration(after.ms)}</span>
                </span>
              ) : isNeutral ? (
                "Move a slider."
              ) : (
                ""
              ))}
          </p>
          <Problem text={problem} />
          <Note answer={answer} />
        </div>
      }
      below={<Exchange request={null} answer={answer} text={(language) => (shot ? reshapeProgram(key, shot, body, language) : "")} file="reshape" />}
    />
  );
}

/** Return a limit of a parameter that can be null. Its schema is an ``anyOf``. */
function limit(schema: unknown, name: string, otherwise: number): number {
  const found = JSON.stringify(schema ?? {}).match(new RegExp(`"${name}":(-?\\d+)`));
  return found ? Number(found[1]) : otherwise;
}
