#!/usr/bin/env node
// Reshapes the face in a photo with Perfect Corp: node perfectcorp.mjs PICTURE [FOLDER]
//
// Writes reshaped.jpg, or reshaped.png. Needs Node 18, and no packages.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const { PERFECTCORP_URL: baseUrl = "https://yce-api-01.makeupar.com", PERFECTCORP_KEY: key } = process.env;
const TASKS = "/s2s/v2.0/task/face-reshape";

/** What to change, from -100 to 100. Features that are not listed stay as they are. */
const FEATURES = { eye_size: 60, face_width: -50, lip_size: 40 };

const TIMEOUT_MS = 60_000;
/** How long to wait before each retry of a call that exceeded the rate limit. */
const RETRY_WAITS_MS = [1000, 2000, 4000, 8000];
const POLL_MS = 1000;
const DEADLINE_SECONDS = 120;

/** Returns the response to a request, if its status reports success. */
async function request(url, options = {}) {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) return response;
    const text = await response.text();
    if (response.status !== 429 || attempt === RETRY_WAITS_MS.length) {
      const reason = reasonOf(text);
      throw new Error(reason ? `${reason} (HTTP ${response.status})` : `HTTP ${response.status}`);
    }
    await sleep(RETRY_WAITS_MS[attempt]);
  }
}

/** Returns the message of an error. The API's errors are JSON, and the store's are XML. */
function reasonOf(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return text.match(/<Message>(.*?)<\/Message>/)?.[1];
  }
}

/** Calls the API, and returns the member `data` of the response. */
async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const response = await request(baseUrl + path, { method, headers, body: body && JSON.stringify(body) });
  return (await response.json()).data;
}

/** Registers a picture, uploads it, and returns its file id. */
async function upload(path) {
  const picture = await readFile(path);
  const { files } = await call("POST", "/s2s/v2.0/file", {
    files: [
      {
        content_type: extname(path).toLowerCase() === ".png" ? "image/png" : "image/jpg",
        file_name: basename(path),
        file_size: picture.length,
      },
    ],
  });
  // The URL is signed. With an Authorization header, the store would refuse the request.
  const { method, url, headers } = files[0].requests[0];
  await request(url, { method, headers, body: picture });
  return files[0].file_id;
}

/** Polls a task until it is finished, and returns the URL of its result. */
async function wait(taskId) {
  const deadline = performance.now() + DEADLINE_SECONDS * 1000;
  while (performance.now() < deadline) {
    const task = await call("GET", `${TASKS}/${taskId}`);
    if (task.task_status === "success") return task.results.url;
    if (task.task_status === "error") {
      throw new Error([task.error, task.error_message].filter(Boolean).join(": "));
    }
    await sleep(POLL_MS);
  }
  throw new Error(`the task ${taskId} still runs after ${DEADLINE_SECONDS} seconds`);
}

async function main(picture, folder = ".") {
  const { task_id: taskId } = await call("POST", TASKS, {
    version: "1.0",
    src_file_id: await upload(picture),
    features: FEATURES,
    global: {},
  });
  const url = await wait(taskId);
  const result = await request(url);
  await mkdir(folder, { recursive: true });
  const path = join(folder, `reshaped${extname(new URL(url).pathname)}`);
  await writeFile(path, Buffer.from(await result.arrayBuffer()));
  console.log(path);
}

const [, program, ...args] = process.argv;
if (args.length < 1 || args.length > 2 || !key) {
  console.error(`usage: node ${basename(program)} PICTURE [FOLDER]
Set the environment variable PERFECTCORP_KEY.`);
  process.exit(2);
}
try {
  await main(...args);
} catch (error) {
  // fetch hides what went wrong in the cause of its error.
  console.error(`error: ${error.cause?.message || error.cause?.code || error.message}`);
  process.exitCode = 1;
}
