// The responses of the control API that the console reads.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export type Pairs = [string, string][];

export interface Body {
  kind: "json" | "form" | "multipart" | "text" | "binary";
  bytes: number;
  json?: Json;
  text?: string;
  fields?: Record<string, Json>;
  sha256?: string;
  content_type?: string | null;
}

export interface Call {
  number: number;
  vendor: string;
  operation: string | null;
  credential: string | null;
  method: string;
  path: string;
  url: string;
  query: Pairs;
  request_headers: Pairs;
  sent: Body | null;
  status: number | null;
  is_complete: boolean;
  response_headers: Pairs;
  answer: Body | null;
  started_at: number;
  real_started_at: number;
  duration_ms: number;
  fault: { source: string; effect: Record<string, Json> } | null;
  warnings: { code: string; detail: string }[];
  target: string;
}

export interface Health {
  version: string;
  vendors: Record<string, string[]>;
  credentials: Record<string, string[]>;
  runs: Record<string, string>;
  journal: { last: number; last_dropped: number } | null;
  tls: { url: string } | null;
}

export interface Operations {
  operations: string[];
  creating_tasks: string[];
  taking_pictures: string[];
  billed: string[];
}

export interface ErrorEntry {
  vendor: string;
  name: string;
  status: number;
  text: string;
  when: string;
  mark: Mark;
  source: string;
  of_task: boolean;
  operations: string[];
  by_nature: string | null;
  by_rule: { match: Record<string, Json>; effect: string };
  in_band: { header: string; credential: string } | null;
}

export type Mark = "CONFIRMED" | "OBSERVED" | "GUESS";

export interface Rule {
  id: string;
  rule: {
    match?: Record<string, Json>;
    effect: Record<string, Json> | string;
    count?: number;
    ttl_s?: number;
    scenario?: string;
  };
  matched: number;
  fired: number;
}

export interface Task {
  id: string;
  kind: string;
  credential: string;
  state: "queued" | "running" | "held" | "succeeded" | "failed";
  progression: Progression;
  polls: number;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  error: string | null;
  result: Record<string, Json> | null;
}

export interface Progression {
  mode: "real" | "immediate" | "after_polls" | "after_seconds" | "manual";
  polls: number | null;
  seconds: number | null;
}

export interface Endpoint {
  id: string;
  vendor: string | null;
  credential: string | null;
  url: string;
  secret: string;
  timestamps: string;
  configured: boolean;
  disabled: string | null;
}

export interface Delivery {
  id: string;
  webhook_id: string | null;
  credential: string;
  vendor: string;
  task: string;
  endpoint: string;
  url: string;
  body: string | null;
  state: "prepared" | "held" | "waiting" | "delivered" | "failed" | "lost";
  next_at: number | null;
  reason: string | null;
  fault: Record<string, Json> | null;
  attempts: {
    number: number;
    at: number;
    ms: number | null;
    status: number | null;
    error: string | null;
    retry_after: number | null;
    injected: Record<string, Json> | null;
    replay: boolean;
  }[];
}

export interface Reading {
  now: number;
  iso: string;
  frozen: boolean;
  own: boolean;
}

export interface Costs {
  operations: { vendor: string; operation: string; calls: number; units: number; amounts: Record<string, string> }[];
  totals: Record<string, string>;
  unpriced: string[];
}

export interface Fact {
  vendor: string;
  section: string;
  fact: string;
  mark: Mark;
  source: string;
  test: string;
}

export interface WarningKind {
  code: string;
  when: string;
  advice: string;
}

export interface Verdict {
  ok: boolean;
  message: string;
  count: number;
  matching: number[];
  near_misses: { call?: Call; number?: number; failed?: Json; failures?: Json }[];
}
