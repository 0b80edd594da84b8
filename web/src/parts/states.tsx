// What a page shows instead of data: it loads, it failed, there is nothing.
import type { ComponentChildren } from "preact";
import type { Loaded } from "../resource";
import { t } from "../text";

export function Blank(props: { title: string; hint?: string; children?: ComponentChildren }) {
  return (
    <div class="blank">
      <h2>{props.title}</h2>
      {props.hint && <p>{props.hint}</p>}
      {props.children}
    </div>
  );
}

export function Loading() {
  return (
    <div class="blank quiet" aria-busy="true">
      <span class="spinner" aria-hidden="true" />
      {t.value.states.loading}
    </div>
  );
}

export function Failed(props: { why: string; again: () => void }) {
  return (
    <Blank title={t.value.states.failed} hint={props.why}>
      <button type="button" onClick={props.again}>
        {t.value.states.again}
      </button>
    </Blank>
  );
}

/** Shows what was loaded; what could not be renewed stays, with a word about it. */
export function Show<T>(props: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
  const { data, error, reload } = props.of;
  if (data === null) return error ? <Failed why={error.message} again={reload} /> : <Loading />;
  return (
    <>
      {error && (
        <p class="stale" role="status">
          {t.value.states.stale(error.message)}
        </p>
      )}
      {props.children(data)}
    </>
  );
}
