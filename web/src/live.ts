// What the daemon tells by itself (GET /events), for the whole page.
//
// One stream: pulses, alerts, load, health and incidents; tokens that somebody looks at (`watch`), and
// the log's lines while its page is open. When that set changes, a second stream continues where the
// first one is, and only then is the first one closed: nothing is lost between.
import { computed, effect, signal } from "@preact/signals";
import type { Item, LogLine, Pulse } from "./types";

const CLOCK_MS = 1000;
const STALL_MS = 5000; // pulses come every second
const GRACE_MS = 2500; // a reconnection that takes less is nobody's business
const RESUBSCRIBE_MS = 400;
const REOPEN_MS = 2000;
const PULSES_MAX = 900; // a quarter of an hour

export interface TokenEvent {
  change: "added" | "score" | "status" | "figures";
  item: Item;
}

interface Topics {
  token: TokenEvent;
  alert: unknown;
  load: unknown;
  incident: unknown;
  health: unknown;
  log: LogLine;
  pulse: Pulse;
}
type Topic = keyof Topics;

/** connecting: since the page was opened; lost: it was there, and is not. */
export const link = signal<"connecting" | "live" | "lost">("connecting");
export const pulse = signal<Pulse | null>(null);
/** The last quarter of an hour, oldest first; grows in place, `pulse` says when. */
export const pulses: Pulse[] = [];
/** Goes up when what is shown must be loaded again, since something may have been missed. */
export const epoch = signal(0);

/** The daemon's time, to the second. */
export const now = signal(Date.now());
let clockOffset = 0;
setInterval(() => {
  now.value = Date.now() + clockOffset;
}, CLOCK_MS);

/** The engine is there and moves. Null: nobody has said yet. */
export const engineIsUp = computed(() =>
  pulse.value === null ? null : pulse.value.engine.state === "running",
);

const listeners: { [T in Topic]: Set<(data: Topics[T]) => void> } = {
  token: new Set(),
  alert: new Set(),
  load: new Set(),
  incident: new Set(),
  health: new Set(),
  log: new Set(),
  pulse: new Set(),
};

const watchedMints = signal("");
const logIsWanted = signal(false);

/** Calls back on each event of a topic until the returned function is called. */
export function on<T extends Topic>(topic: T, listener: (data: Topics[T]) => void): () => void {
  listeners[topic].add(listener);
  if (topic === "log") logIsWanted.value = true;
  return () => {
    listeners[topic].delete(listener);
    if (topic === "log") logIsWanted.value = listeners.log.size > 0;
  };
}

const MINTS_MAX = 100; // that the daemon takes; fewer rows are seen at a time
const MINT = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;

/**
 * The tokens whose changes are told from now on. Those near are told of too, as far as there is room, so
 * that it takes no other stream when ranks move a little.
 */
export function watch(mints: readonly string[], near: readonly string[] = []): void {
  const told = new Set(watchedMints.value.split(","));
  const wanted = mints.filter((mint) => MINT.test(mint));
  if (wanted.length > 0 && wanted.every((mint) => told.has(mint))) return;
  const all = wanted.length > 0 ? [...wanted, ...near.filter((mint) => MINT.test(mint))] : [];
  watchedMints.value = [...new Set(all)].slice(0, MINTS_MAX).sort().join(",");
}

// ---- the stream ----

let stream: EventSource | null = null;
let lastId = "";
let heardAt = 0;
let lostTimer = 0;

function heard(): void {
  heardAt = Date.now();
  clearTimeout(lostTimer);
  lostTimer = 0;
  link.value = "live";
}

function missed(): void {
  if (lostTimer !== 0 || link.value === "lost") return;
  lostTimer = window.setTimeout(() => {
    lostTimer = 0;
    link.value = "lost";
  }, GRACE_MS);
}

function takePulse(next: Pulse): void {
  clockOffset = Date.parse(next.at) - Date.now();
  now.value = Date.now() + clockOffset;
  if (pulses.push(next) > PULSES_MAX) pulses.shift();
  pulse.value = next;
}

function deliver(topic: Topic, message: MessageEvent<string>): void {
  if (message.lastEventId) lastId = message.lastEventId;
  heard();
  const data: unknown = JSON.parse(message.data);
  if (topic === "pulse") takePulse(data as Pulse);
  for (const listener of listeners[topic]) (listener as (data: unknown) => void)(data);
}

function reload(): void {
  epoch.value++;
}

function address(): string {
  const topics = ["alert", "load", "incident", "health", "pulse"];
  if (watchedMints.value) topics.push("token");
  if (logIsWanted.value) topics.push("log");
  const query = new URLSearchParams({ topics: topics.join(",") });
  if (watchedMints.value) query.set("mints", watchedMints.value);
  if (lastId) query.set("last_event_id", lastId);
  return `/events?${query}`;
}

function open(): void {
  const before = stream;
  const next = new EventSource(address());
  stream = next;
  const isMine = () => stream === next;
  next.onopen = () => {
    before?.close();
    heard();
  };
  next.addEventListener("hello", (message) => {
    const hello = JSON.parse(message.data) as { resumed: boolean };
    if (message.lastEventId) lastId = message.lastEventId;
    if (!hello.resumed && pulse.value !== null) reload();
  });
  next.addEventListener("reset", reload);
  for (const topic of Object.keys(listeners) as Topic[]) {
    next.addEventListener(topic, (message) => isMine() && deliver(topic, message));
  }
  next.onerror = () => {
    if (!isMine()) return;
    before?.close();
    missed();
    // Refused rather than cut off: the browser does not try again by itself.
    if (next.readyState === EventSource.CLOSED) setTimeout(() => isMine() && open(), REOPEN_MS);
  };
}

let resubscribing = 0;
let isStarted = false;

export function start(): void {
  open();
  effect(() => {
    watchedMints.value;
    logIsWanted.value;
    if (!isStarted) return;
    clearTimeout(resubscribing);
    resubscribing = window.setTimeout(open, RESUBSCRIBE_MS);
  });
  isStarted = true;
  // A connection that nobody has closed can still be dead.
  setInterval(() => {
    if (link.value === "live" && Date.now() - heardAt > STALL_MS) {
      missed();
      open();
    }
  }, CLOCK_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) now.value = Date.now() + clockOffset;
  });
}
