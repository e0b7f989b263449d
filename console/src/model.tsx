// A canvas with a model, and the buttons around it.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { notify } from "./api";
import type { Style, Viewer } from "./scene";

/** Load three.js, and create a viewer. */
export async function viewerOf(canvas: HTMLCanvasElement): Promise<Viewer> {
  const { Viewer } = await import("./scene");
  return new Viewer(canvas);
}

export function Stage3d({ ready, label, children }: {
  ready: (viewer: Viewer | null) => void;
  label: string;
  children?: ComponentChildren;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const held = useRef<Viewer | null>(null);
  const [problem, setProblem] = useState("");
  const [style, setStyle] = useState<Style>("texture");
  const [wire, setWire] = useState(false);

  useEffect(() => {
    let isGone = false;
    if (canvas.current) {
      viewerOf(canvas.current).then(
        (viewer) => {
          if (isGone) {
            viewer.dispose();
            return;
          }
          held.current = viewer;
          ready(viewer);
        },
        (error: Error) => setProblem(`3D is not available in this browser: ${error.message}`),
      );
    }
    return () => {
      isGone = true;
      ready(null);
      held.current?.dispose();
      held.current = null;
    };
  }, []);
  useEffect(() => held.current?.setStyle(style, wire), [style, wire]);

  const turn = (event: KeyboardEvent) => {
    const step: Record<string, [number, number]> = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, 8], ArrowDown: [0, -8] };
    const by = step[event.key];
    if (!by) return;
    event.preventDefault();
    held.current?.turn(...by);
  };
  return (
    <div class="stage3d">
      <canvas ref={canvas} tabIndex={0} role="img" aria-label={`${label}. Drag or use the arrow keys to turn it.`} onKeyDown={turn} />
      {problem && <p class="note error">{problem}</p>}
      <div class="bar">
        <button type="button" aria-pressed={style === "texture"} onClick={() => setStyle(style === "texture" ? "clay" : "texture")}>
          Texture
        </button>
        <button type="button" aria-pressed={wire} onClick={() => setWire(!wire)}>
          Wireframe
        </button>
        {children}
        <button type="button" onClick={() => held.current?.reset()}>
          Reset view
        </button>
      </div>
    </div>
  );
}

/** A model at a URL: a GLB file, or an OBJ file with the URL of its texture. */
export function Model({ url, texture, label }: { url: string; texture?: string | null; label: string }) {
  const show = (viewer: Viewer | null) => {
    if (!viewer) return;
    const load = async () => {
      const data = await (await fetch(url)).arrayBuffer();
      const isGlb = new TextDecoder().decode(data.slice(0, 4)) === "glTF";
      if (isGlb) await viewer.showGlb(data);
      else await viewer.showObj(new TextDecoder().decode(data), texture ?? null);
    };
    load().catch((error: Error) => notify(error.message, true));
  };
  return (
    <div class="model">
      <Stage3d ready={show} label={label} />
    </div>
  );
}
