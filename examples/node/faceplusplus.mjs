#!/usr/bin/env node
// Reconstructs a head from a photo with Face++: node faceplusplus.mjs PICTURE [FOLDER]
//
// Writes face.obj, face.mtl and tex.jpg. Needs Node 18, and no packages.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const {
  FACEPLUSPLUS_URL: baseUrl = "https://api-us.faceplusplus.com",
  FACEPLUSPLUS_API_KEY: key,
  FACEPLUSPLUS_API_SECRET: secret,
} = process.env;
const TIMEOUT_MS = 60_000;

/** Errors after which Face++ accepts the same request later. */
const RETRIED = new Set(["CONCURRENCY_LIMIT_EXCEEDED", "INTERNAL_ERROR"]);
const RETRY_WAITS_MS = [1000, 2000, 4000, 8000];

/** Members of the response by file name. The OBJ refers to the MTL by this name, and the MTL to the JPEG. */
const FILES = { "face.obj": "obj_file", "face.mtl": "mtl_file", "tex.jpg": "texture_img" };

/** Returns the response to a request with one picture. */
async function reconstruct(picture) {
  const form = new FormData();
  form.set("api_key", key);
  form.set("api_secret", secret);
  form.set("texture", "1");
  form.set("mtl", "1");
  form.set("image_file_1", new Blob([picture], { type: "image/jpeg" }), "photo.jpg");
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(`${baseUrl}/facepp/v1/3dface`, {
      method: "POST",
      body: form,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.ok) return response.json();
    const message = await messageOf(response);
    if (!RETRIED.has(message) || attempt === RETRY_WAITS_MS.length) {
      throw new Error(message ? `${message} (HTTP ${response.status})` : `HTTP ${response.status}`);
    }
    await sleep(RETRY_WAITS_MS[attempt]);
  }
}

/** Returns the error message. Some errors, such as 413, are not JSON and have none. */
async function messageOf(response) {
  try {
    return JSON.parse(await response.text()).error_message;
  } catch {
    return undefined;
  }
}

async function main(picture, folder = ".") {
  const answer = await reconstruct(await readFile(picture));
  await mkdir(folder, { recursive: true });
  for (const [name, member] of Object.entries(FILES)) {
    await writeFile(join(folder, name), Buffer.from(answer[member], "base64"));
    console.log(join(folder, name));
  }
}

const [, program, ...args] = process.argv;
if (args.length < 1 || args.length > 2 || !key || !secret) {
  console.error(`usage: node ${basename(program)} PICTURE [FOLDER]
Set the environment variables FACEPLUSPLUS_API_KEY and FACEPLUSPLUS_API_SECRET.`);
  process.exit(2);
}
try {
  await main(...args);
} catch (error) {
  // fetch hides what went wrong in the cause of its error.
  console.error(`error: ${error.cause?.message || error.cause?.code || error.message}`);
  process.exitCode = 1;
}
