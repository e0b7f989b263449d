// Bundles the console into one folder: index.html, and scripts and styles with a digest in their names.
// Usage: node build.mjs [FOLDER]
import { build } from "esbuild";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? `${here}/../emulator/control/console/built`);
// Build beside the target, so that a build that fails or is interrupted leaves the old files.
const fresh = `${target}.new`;
await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  metafile: true,
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  assetNames: "[name]-[hash]",
  outdir: fresh,
  logLevel: "warning",
});
const outputs = Object.keys(metafile.outputs).map((name) => basename(name));
const script = outputs.find((name) => /^app-.*\.js$/.test(name));
const style = outputs.find((name) => /^app-.*\.css$/.test(name));
const page = await readFile(`${here}/src/index.html`, "utf8");
await writeFile(`${fresh}/index.html`, page.replace("SCRIPT", script).replace("STYLE", style));
await writeFile(`${fresh}/icon.svg`, await readFile(`${here}/src/icon.svg`));
// The bundle contains these libraries, and their licence requires this notice.
const notices = [];
for (const name of ["preact", "@preact/signals", "@preact/signals-core", "three"]) {
  notices.push(`${name}\n\n${await readFile(`${here}/node_modules/${name}/LICENSE`, "utf8")}`);
}
await writeFile(`${fresh}/licenses.txt`, notices.join("\n\n"));
await rm(target, { recursive: true, force: true });
await rename(fresh, target);
