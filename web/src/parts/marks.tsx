// Small drawings: components as bars, freshness as a colour, statuses, changes.
import { useRef } from "preact/hooks";
import { change, duration, fixed, NONE } from "../format";
import { now } from "../live";
import { t } from "../text";
import { COMPONENTS, type Components, type Status } from "../types";

const FULL = [2, 4, 1, 1]; // what a full bar stands for; more is rare

export function Bars(props: { of: Components | null }) {
  const text = t.value.components;
  const values = COMPONENTS.map((name) => props.of?.[name] ?? null);
  const words = props.of
    ? COMPONENTS.map((name, i) => `${text[name].name} ${fixed(values[i], 2)}`).join(", ")
    : t.value.tokens.noData;
  return (
    <span class="bars" role="img" aria-label={words} title={words}>
      {values.map((value, i) => (
        <i
          // always these four
          key={i}
          data-part={i}
          data-sign={value !== null && value < 0 ? "down" : undefined}
          style={{ "--v": value === null ? 0 : Math.min(1, Math.abs(value) / (FULL[i] ?? 1)) }}
        />
      ))}
    </span>
  );
}

export function StatusMark(props: { status: Status }) {
  return (
    <span class="status" data-status={props.status}>
      {t.value.status[props.status]}
    </span>
  );
}

export function Change(props: { of: number | null }) {
  const value = props.of;
  const sign = value === null || value === 0 ? undefined : value > 0 ? "up" : "down";
  return <span data-sign={sign}>{change(value)}</span>;
}

export function ageLevel(age: number, target: number): "good" | "warn" | "bad" {
  return age <= target * 1.1 ? "good" : age <= target * 2 ? "warn" : "bad";
}

/** Seconds since data came, ticking; its colour is how that stands to the target. */
export function Age(props: { at: string | null; target: number | null }) {
  if (props.at === null) return <span class="age">{NONE}</span>;
  const age = Math.floor(Math.max(0, (now.value - Date.parse(props.at)) / 1000));
  const text = duration(age);
  const target = props.target;
  return (
    <span
      class="age"
      data-level={target ? ageLevel(age, target) : undefined}
      title={target ? t.value.tokens.fresh(text, duration(target)) : text}
    >
      {text}
    </span>
  );
}

const MOVED = 0.0005; // the smallest change that is shown as a move

/** A number that lights up when it moves. */
export function Moving(props: { of: string; value: number | null; digits: number }) {
  const last = useRef<{ of: string; value: number | null; moves: number; sign: string }>({
    of: "",
    value: null,
    moves: 0,
    sign: "",
  });
  const before = last.current;
  const moved =
    before.of === props.of && before.value !== null && props.value !== null
      ? props.value - before.value
      : 0;
  if (before.of !== props.of)
    last.current = { of: props.of, value: props.value, moves: 0, sign: "" };
  else if (Math.abs(moved) >= MOVED) {
    const sign = moved > 0 ? "up" : "down";
    last.current = { of: props.of, value: props.value, moves: before.moves + 1, sign };
  }
  const shown = last.current;
  return (
    <span
      key={`${shown.of}${shown.moves}`}
      class={shown.moves > 0 ? `moved ${shown.sign}` : undefined}
    >
      {fixed(props.value, props.digits)}
    </span>
  );
}
