#!/usr/bin/env node
// Receives Perfect Corp's webhooks: node perfectcorp-webhooks.mjs [PORT] [FOLDER]
//
// Writes the result of each task that succeeds to <task id>.jpg. Needs Node 18, and no packages.

import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, join } from "node:path";

const {
  PERFECTCORP_URL: baseUrl = "https://yce-api-01.makeupar.com",
  PERFECTCORP_KEY: key,
  /** Secret of the endpoint, such as `whsec_NDQz...`. */
  PERFECTCORP_WEBHOOK_SECRET: secret,
} = process.env;

/** Perfect Corp waits for our response, so these are few. */
const TIMEOUT_MS = 10_000;
/** Largest age of a message. An older one could be a copy that somebody recorded. */
const TOLERANCE_SECONDS = 300;
const MOST_BYTES = 65_536;

class WrongSignature extends Error {}

/** Returns the content of a message, if its signature and timestamp are right by Standard Webhooks. */
function verify(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - timestamp) <= TOLERANCE_SECONDS)) {
    throw new WrongSignature("the timestamp is missing, or too far from now");
  }
  const signingKey = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const digest = createHmac("sha256", signingKey).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  // While a secret is replaced, a message has several signatures.
  const matches = signatures.split(" ").map((signature) => {
    const found = Buffer.from(signature);
    return found.length === expected.length && timingSafeEqual(found, expected);
  });
  if (!matches.includes(true)) throw new WrongSignature("no signature matches");
  return JSON.parse(body);
}

async function get(url, headers = {}) {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

/** Downloads the result of a finished task, and returns what happened. */
async function saveResult(taskId) {
  const path = join(folder, `${taskId}.jpg`);
  if (existsSync(path)) return "already saved"; // Perfect Corp has sent the message twice.
  const answer = await get(`${baseUrl}/s2s/v2.0/task/face-reshape/${taskId}`, { Authorization: `Bearer ${key}` });
  const { data: task } = await answer.json();
  if (task.task_status === "error") return `failed: ${task.error}`;
  if (task.task_status !== "success") throw new Error(`the task ${taskId} is not finished`);
  const picture = await get(task.results.url);
  await writeFile(path, Buffer.from(await picture.arrayBuffer()));
  return `saved as ${path}`;
}

/** Returns the body of a request, or throws if it is too large. */
async function bodyOf(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new Error("the message is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Receives one message, and returns the status. Any but 2xx makes Perfect Corp send it again later. */
async function receive(request) {
  if (request.method !== "POST") return 405;
  try {
    const { task_id: taskId } = verify(request.headers, await bodyOf(request)).data;
    console.log(`${taskId}: ${await saveResult(taskId)}`);
    return 204;
  } catch (error) {
    console.error(`error: ${error.cause?.message || error.cause?.code || error.message}`);
    return error instanceof WrongSignature ? 401 : 500;
  }
}

const [, program, port = "9000", folder = "."] = process.argv;
if (!/^\d+$/.test(port) || !key || !secret) {
  console.error(`usage: node ${basename(program)} [PORT] [FOLDER]
Set the environment variables PERFECTCORP_KEY and PERFECTCORP_WEBHOOK_SECRET.`);
  process.exit(2);
}
await mkdir(folder, { recursive: true });
const server = createServer(async (request, response) => {
  response.writeHead(await receive(request)).end();
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
