// Which page is shown: the address is the state. /app/tokens/MINT, /app/health, …
import { signal } from "@preact/signals";

const BASE = "/app";

export const PAGES = ["tokens", "scheduler", "health", "incidents", "settings", "log"] as const;
export type Page = (typeof PAGES)[number];

export interface Place {
  page: Page | null; // null: there is no such page
  argument: string;
  query: URLSearchParams;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function read(): Place {
  const rest = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "";
  const [name = "", argument = ""] = rest.split("/").filter(Boolean).map(decode);
  const page = name === "" || name === "index.html" ? "tokens" : PAGES.find((p) => p === name);
  return { page: page ?? null, argument, query: new URLSearchParams(location.search) };
}

export const place = signal<Place>(read());
addEventListener("popstate", () => {
  place.value = read();
});

export function pathOf(page: Page, argument = ""): string {
  return argument ? `${BASE}/${page}/${encodeURIComponent(argument)}` : `${BASE}/${page}`;
}

export function go(path: string): void {
  history.pushState(null, "", path);
  place.value = read();
  scrollTo(0, 0);
}

/** Notes what a page shows in its address, without a step of "back". */
export function noteQuery(values: Record<string, string>): void {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== "") query.set(key, value);
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

/** For links: a plain click stays in the page, all others are the browser's. */
export function onLink(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest("a");
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link || !isPlain || link.target || event.defaultPrevented) return;
  if (link.origin !== location.origin || !link.pathname.startsWith(`${BASE}/`)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
