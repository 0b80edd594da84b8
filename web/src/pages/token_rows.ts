// The ranked tokens of one filter, of which only what is seen is loaded: a page of 100 at a time.
import { signal } from "@preact/signals";
import { ApiError, get } from "../api";
import type { Item, TokenList } from "../types";

export const PAGE_ROWS = 100; // the most that GET /tokens gives
const PAGES_KEPT = 12; // around what is seen
const SETTLE_MS = 60; // who scrolls past needs no data
const RENEW_SHARE = 0.1; // of the time may be spent on it: a search through a million takes long

export interface Filter {
  status: string;
  group: string;
  search: string;
  minScore: string;
  sort: string;
}

export const NO_FILTER: Filter = {
  status: "",
  group: "",
  search: "",
  minScore: "",
  sort: "score_desc",
};

const ALL_SCORES = "-1000"; // lower than any; without it, the setting min_score would apply

function addressOf(filter: Filter): string {
  const query = new URLSearchParams({ sort: filter.sort });
  if (filter.status === "all") query.set("statuses", "active,monitoring,archived");
  else if (filter.status) query.set("statuses", filter.status);
  if (filter.group) query.set("group", filter.group);
  if (filter.search) query.set("search", filter.search);
  query.set("min_score", filter.minScore || ALL_SCORES);
  return `/tokens?${query}`;
}

export class TokenRows {
  /** Null until the first answer. */
  readonly total = signal<number | null>(null);
  readonly error = signal<ApiError | null>(null);
  /** Goes up when rows changed. */
  readonly version = signal(0);

  private readonly address: string;
  private readonly pages = new Map<number, Item[]>();
  private readonly asked = new Map<number, AbortController>();
  private first = 0;
  private last = 0;
  private settling = 0;
  private loadedAt = 0;
  private tookMs = 0;
  private isClosed = false;

  constructor(filter: Filter) {
    this.address = addressOf(filter);
    this.load(0);
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.settling);
    for (const request of this.asked.values()) request.abort();
  }

  at(index: number): Item | null {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS] ?? null;
  }

  /** Where a token is among what is loaded; −1 when it is not. */
  indexOf(mint: string): number {
    for (const [page, items] of this.pages) {
      const at = items.findIndex((item) => item.mint_address === mint);
      if (at >= 0) return page * PAGE_ROWS + at;
    }
    return -1;
  }

  /** What is seen now; loads what is missing of it. */
  show(first: number, last: number): void {
    this.first = first;
    this.last = last;
    clearTimeout(this.settling);
    this.settling = window.setTimeout(() => {
      for (const page of this.seen()) if (!this.pages.has(page)) this.load(page);
      this.forget();
    }, SETTLE_MS);
  }

  /** Asks again for what is seen: ranks move. */
  renew(): void {
    if (performance.now() - this.loadedAt < this.tookMs / RENEW_SHARE) return;
    this.reload();
  }

  reload(): void {
    for (const page of this.seen()) if (!this.asked.has(page)) this.load(page);
  }

  /** A token changed; it keeps its place until its page is renewed. */
  apply(item: Item): void {
    for (const [page, items] of this.pages) {
      const at = items.findIndex((old) => old.mint_address === item.mint_address);
      if (at < 0) continue;
      const changed = [...items];
      changed[at] = item;
      this.pages.set(page, changed);
      this.version.value++;
      return;
    }
  }

  private seen(): number[] {
    const pages = [];
    for (let p = Math.floor(this.first / PAGE_ROWS); p * PAGE_ROWS <= this.last; p++) pages.push(p);
    return pages;
  }

  private async load(page: number): Promise<void> {
    const request = new AbortController();
    this.asked.set(page, request);
    const began = performance.now();
    try {
      const offset = page * PAGE_ROWS;
      const list = await get<TokenList>(
        `${this.address}&limit=${PAGE_ROWS}&offset=${offset}`,
        request.signal,
      );
      if (this.isClosed) return;
      this.loadedAt = performance.now();
      this.tookMs = this.loadedAt - began;
      this.pages.set(page, list.items);
      this.total.value = list.total;
      this.error.value = null;
      this.version.value++;
    } catch (problem) {
      if (!this.isClosed && !request.signal.aborted) {
        this.error.value = problem instanceof ApiError ? problem : new ApiError(0, String(problem));
      }
    } finally {
      this.asked.delete(page);
    }
  }

  private forget(): void {
    const middle = Math.floor((this.first + this.last) / 2 / PAGE_ROWS);
    const near = (page: number) => Math.abs(page - middle) <= PAGES_KEPT / 2;
    for (const page of this.pages.keys()) if (!near(page)) this.pages.delete(page);
    for (const [page, request] of this.asked) if (!near(page)) request.abort();
  }
}
