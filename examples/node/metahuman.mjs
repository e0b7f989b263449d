#!/usr/bin/env node
// Describes a head in a photo with MetaHuman SDK: node metahuman.mjs PICTURE [FOLDER]
//
// Writes metahuman.json, with 80 shape coefficients and the attributes, and texture.png. Needs Node 18, and
// no packages.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

const { METAHUMAN_URL: baseUrl = "https://api.metahumansdk.io", METAHUMAN_TOKEN: token } = process.env;
const TIMEOUT_MS = 60_000;

/** Returns the body of a response. */
async function bodyOf(url, options) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const body = Buffer.from(await response.arrayBuffer());
  if (response.ok) return body;
  const error = errorOf(body);
  const status = `HTTP ${response.status}`;
  throw new Error(error?.message ? `${error.message} (code ${error.code}, ${status})` : status);
}

/** Returns the error of a response. That of a proxy is not JSON. */
function errorOf(body) {
  try {
    return JSON.parse(body).error;
  } catch {
    return undefined;
  }
}

async function main(picture, folder = ".") {
  const form = new FormData();
  form.set("token", token);
  form.set("image_bytes", new Blob([await readFile(picture)]), basename(picture));
  const answer = await bodyOf(`${baseUrl}/face_recon/run_pipeline`, { method: "POST", body: form });
  // The response has only the path of the texture.
  const texture = await bodyOf(new URL(JSON.parse(answer).result.face.textureUrl, baseUrl));

  await mkdir(folder, { recursive: true });
  for (const [name, content] of [["metahuman.json", answer], ["texture.png", texture]]) {
    await writeFile(join(folder, name), content);
    console.log(join(folder, name));
  }
}

const [, program, ...args] = process.argv;
if (args.length < 1 || args.length > 2 || !token) {
  console.error(`usage: node ${basename(program)} PICTURE [FOLDER]
Set the environment variable METAHUMAN_TOKEN.`);
  process.exit(2);
}
try {
  await main(...args);
} catch (error) {
  // fetch hides what went wrong in the cause of its error.
  console.error(`error: ${error.cause?.message || error.cause?.code || error.message}`);
  process.exitCode = 1;
}
