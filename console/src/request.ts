// Requests of the playground, and the programs that repeat them.
import { quote } from "./text";
import type { Json } from "./types";

export interface File_ {
  file: Blob;
  name: string;
}

export type Field = readonly [name: string, value: string | File_];

export interface Request_ {
  method: string;
  path: string;
  headers?: Record<string, string>;
  fields?: readonly Field[];
  json?: Json;
}

export interface Answer {
  status: number;
  ms: number;
  type: string;
  json: Json | undefined;
  blob: Blob;
}

const isFile = (value: string | File_): value is File_ => typeof value !== "string";

export async function perform(request: Request_, signal?: AbortSignal): Promise<Answer> {
  const began = performance.now();
  const headers: Record<string, string> = { ...request.headers };
  let body: BodyInit | null = null;
  if (request.fields) {
    const form = new FormData();
    for (const [name, value] of request.fields) {
      if (isFile(value)) form.append(name, value.file, value.name);
      else form.append(name, value);
    }
    body = form;
  } else if (request.json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(request.json);
  }
  const answer = await fetch(request.path, { method: request.method, headers, body, ...(signal ? { signal } : {}) });
  const blob = await answer.blob();
  const type = answer.headers.get("content-type") ?? "";
  let json: Json | undefined;
  if (type.includes("json")) {
    try {
      json = JSON.parse(await blob.text()) as Json;
    } catch {
      json = undefined; // a fault can cut the response
    }
  }
  return { status: answer.status, ms: performance.now() - began, type, json, blob };
}

export type Language = "curl" | "Python" | "JavaScript";

const py = (value: Json | undefined): string =>
  JSON.stringify(value, null, 4)
    .replace(/\btrue\b/g, "True")
    .replace(/\bfalse\b/g, "False")
    .replace(/\bnull\b/g, "None");

/** Return a program that sends a request to this emulator. */
export function program(request: Request_, language: Language): string {
  const url = `${location.origin}${request.path}`;
  const headers = Object.entries(request.headers ?? {});
  const fields = request.fields ?? [];
  const files = fields.filter(([, value]) => isFile(value)) as [string, File_][];
  const texts = fields.filter(([, value]) => !isFile(value)) as [string, string][];
  if (language === "curl") {
    const parts = [`curl${request.method === "POST" ? "" : ` -X ${request.method}`} ${quote(url)}`];
    for (const [name, value] of headers) parts.push(`-H ${quote(`${name}: ${value}`)}`);
    for (const [name, value] of fields) parts.push(`-F ${quote(`${name}=${isFile(value) ? `@${value.name}` : value}`)}`);
    if (request.json !== undefined) {
      parts.push(`-H 'Content-Type: application/json'`, `--data ${quote(JSON.stringify(request.json))}`);
    }
    return parts.join(" \\\n  ");
  }
  if (language === "Python") {
    const parts = [`    ${JSON.stringify(url)},`];
    if (headers.length) parts.push(`    headers=${py(Object.fromEntries(headers)).replaceAll("\n", "\n    ")},`);
    if (texts.length) parts.push(`    data=${py(Object.fromEntries(texts)).replaceAll("\n", "\n    ")},`);
    if (files.length) parts.push(`    files={${files.map(([name, value]) => `${JSON.stringify(name)}: open(${JSON.stringify(value.name)}, "rb")`).join(", ")}},`);
    if (request.json !== undefined) parts.push(`    json=${py(request.json).replaceAll("\n", "\n    ")},`);
    parts.push("    timeout=60,");
    return `import requests\n\nresponse = requests.${request.method.toLowerCase()}(\n${parts.join("\n")}\n)\nprint(response.status_code, response.headers["content-type"])\n`;
  }
  const lines: string[] = files.length ? [`import { openAsBlob } from "node:fs";`, ""] : [];
  if (fields.length) {
    lines.push("const form = new FormData();");
    for (const [name, value] of fields) {
      lines.push(
        isFile(value)
          ? `form.append(${JSON.stringify(name)}, await openAsBlob(${JSON.stringify(value.name)}), ${JSON.stringify(value.name)});`
          : `form.append(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
      );
    }
  }
  const options = [`  method: ${JSON.stringify(request.method)},`];
  const sent = { ...request.headers, ...(request.json === undefined ? {} : { "Content-Type": "application/json" }) };
  if (Object.keys(sent).length) options.push(`  headers: ${JSON.stringify(sent)},`);
  if (fields.length) options.push("  body: form,");
  if (request.json !== undefined) options.push(`  body: JSON.stringify(${JSON.stringify(request.json)}),`);
  lines.push(`const response = await fetch(${JSON.stringify(url)}, {`, ...options, "});", "console.log(response.status, response.headers.get(\"content-type\"));", "");
  return lines.join("\n");
}

/** Return the programs that perform Perfect Corp's steps: register, upload, create, poll, download. */
export function reshapeProgram(key: string, photo: File_, body: Json, language: Language): string {
  const api = `${location.origin}/s2s/v2.0`;
  const type = photo.file.type;
  const task = JSON.stringify({ ...(body as Record<string, Json>), src_file_id: "FILE_ID" });
  if (language === "curl") {
    return `api=${api} photo=${quote(photo.name)} auth=${quote(`Authorization: Bearer ${key}`)}
get() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

file=$(curl -s $api/file -H "$auth" -H 'Content-Type: application/json' -d '{"files": [{
  "content_type": "${type}", "file_name": "'$photo'", "file_size": '$(wc -c <$photo)'}]}')
curl -s -X PUT -H 'Content-Type: ${type}' --data-binary @$photo \\
  "$(get '["data"]["files"][0]["requests"][0]["url"]' <<<"$file")"
file_id=$(get '["data"]["files"][0]["file_id"]' <<<"$file")
task=$(curl -s $api/task/face-reshape -H "$auth" -H 'Content-Type: application/json' \\
  -d '${task.replace("FILE_ID", `'$file_id'`)}' | get '["data"]["task_id"]')
until status=$(curl -s $api/task/face-reshape/$task -H "$auth") &&
  get '["data"]["task_status"]' <<<"$status" | grep -v running; do sleep 0.3; done
curl -s "$(get '["data"]["results"]["url"]' <<<"$status")" -o reshaped.jpg
`;
  }
  if (language === "Python") {
    return `import time
from pathlib import Path

import requests

api, photo = ${JSON.stringify(api)}, Path(${JSON.stringify(photo.name)})
session = requests.Session()
session.headers["Authorization"] = ${JSON.stringify(`Bearer ${key}`)}

new = {"content_type": ${JSON.stringify(type)}, "file_name": photo.name, "file_size": photo.stat().st_size}
file = session.post(f"{api}/file", json={"files": [new]}).json()["data"]["files"][0]
upload = file["requests"][0]
requests.put(upload["url"], data=photo.read_bytes(), headers=upload["headers"]).raise_for_status()

body = ${py(body)}
task = session.post(f"{api}/task/face-reshape", json={**body, "src_file_id": file["file_id"]}).json()["data"]["task_id"]
while (status := session.get(f"{api}/task/face-reshape/{task}").json()["data"])["task_status"] == "running":
    time.sleep(0.3)
Path("reshaped.jpg").write_bytes(requests.get(status["results"]["url"]).content)
`;
  }
  return `import { readFile, writeFile } from "node:fs/promises";

const api = ${JSON.stringify(api)};
const headers = { Authorization: ${JSON.stringify(`Bearer ${key}`)}, "Content-Type": "application/json" };
const post = async (path, body) =>
  (await (await fetch(api + path, { method: "POST", headers, body: JSON.stringify(body) })).json()).data;

const photo = await readFile(${JSON.stringify(photo.name)});
const { files } = await post("/file", {
  files: [{ content_type: ${JSON.stringify(type)}, file_name: ${JSON.stringify(photo.name)}, file_size: photo.length }],
});
const upload = files[0].requests[0];
await fetch(upload.url, { method: "PUT", body: photo, headers: { "Content-Type": ${JSON.stringify(type)} } });

const { task_id } = await post("/task/face-reshape", {
  ...${JSON.stringify(body)},
  src_file_id: files[0].file_id,
});
let status;
do {
  await new Promise((done) => setTimeout(done, 300));
  status = (await (await fetch(\`\${api}/task/face-reshape/\${task_id}\`, { headers })).json()).data;
} while (status.task_status === "running");
const result = await fetch(status.results.url);
await writeFile("reshaped.jpg", Buffer.from(await result.arrayBuffer()));
`;
}

export function decode(base64: string, type: string): Blob {
  const text = atob(base64);
  const data = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) data[index] = text.charCodeAt(index);
  return new Blob([data], { type });
}
