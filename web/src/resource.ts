// Something that is loaded, kept while it is renewed, and loaded again when events may have been
// missed.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api";
import { epoch, link, pulse } from "./live";

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  reload: () => void;
}

/** Renewed with every `everyS`th pulse while the page is seen (0: never by itself). */
export function useLoaded<T>(path: string, everyS: number): Loaded<T> {
  const [state, setState] = useState<{ path: string; data: T | null; error: ApiError | null }>({
    path,
    data: null,
    error: null,
  });
  const asked = useRef<AbortController | null>(null);

  const load = useCallback(async () => {
    asked.current?.abort();
    const mine = new AbortController();
    asked.current = mine;
    try {
      const data = await get<T>(path, mine.signal);
      if (!mine.signal.aborted) setState({ path, data, error: null });
    } catch (problem) {
      if (mine.signal.aborted) return;
      const error = problem instanceof ApiError ? problem : new ApiError(0, String(problem));
      setState((old) => ({ path, data: old.path === path ? old.data : null, error }));
    } finally {
      if (asked.current === mine) asked.current = null;
    }
  }, [path]);

  const missed = epoch.value;
  const isLive = link.value === "live";
  // both say that something was missed
  useEffect(() => {
    load();
  }, [load, missed, isLive]);
  useEffect(() => () => asked.current?.abort(), []);

  useEffect(() => {
    if (everyS <= 0) return;
    let seen = 0;
    return pulse.subscribe(() => {
      seen++;
      if (seen % everyS === 0 && !document.hidden && asked.current === null) load();
    });
  }, [load, everyS]);

  return { data: state.path === path ? state.data : null, error: state.error, reload: load };
}
