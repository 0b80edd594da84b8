// Requests to the daemon. A write that needs the token asks the person for it (parts/ask_token).
import { signal } from "@preact/signals";

const TOKEN_KEY = "moonwatch.token"; // of this tab only: sessionStorage
const PATIENCE_MS = 15_000;

/** What went wrong, in the daemon's own words where it said any. Status 0: no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

/** Set while a person is asked for the token; answers null when they would rather not. */
export const tokenQuestion = signal<((token: string | null) => void) | null>(null);

function askToken(): Promise<string | null> {
  return new Promise((resolve) => {
    tokenQuestion.value = (token) => {
      tokenQuestion.value = null;
      resolve(token);
    };
  });
}

async function detailOf(response: Response): Promise<string> {
  try {
    const body: unknown = await response.json();
    if (body && typeof body === "object" && "detail" in body) return String(body.detail);
  } catch {
    // Not JSON: the status has to do.
  }
  return `HTTP ${response.status}`;
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const given = init.signal;
  const both = new AbortController();
  const abort = () => both.abort();
  patience.addEventListener("abort", abort);
  given?.addEventListener("abort", abort);
  try {
    return await fetch(path, { ...init, signal: both.signal });
  } catch (problem) {
    if (given?.aborted) throw problem;
    throw new ApiError(0, patience.aborted ? "no answer in 15 s" : "the daemon does not answer");
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await ask(path, signal ? { signal } : {});
  if (!response.ok) throw new ApiError(response.status, await detailOf(response));
  return (await response.json()) as T;
}

function writeInit(method: string, body: unknown): RequestInit {
  const headers: Record<string, string> = {};
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  for (;;) {
    const response = await ask(path, writeInit(method, body));
    if (response.ok) return (await response.json()) as T;
    const detail = await detailOf(response);
    if (response.status !== 401) throw new ApiError(response.status, detail);
    sessionStorage.removeItem(TOKEN_KEY);
    const token = await askToken();
    if (token === null) throw new ApiError(401, detail);
    sessionStorage.setItem(TOKEN_KEY, token);
  }
}
