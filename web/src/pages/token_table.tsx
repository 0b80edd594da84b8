// The table of tokens. Only the rows that are seen exist; they are used again as they scroll by, so
// that 100,000 cost no more than 50.
import { signal, useComputed } from "@preact/signals";
import type { VNode } from "preact";
import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { duration, money, nameOf, whole } from "../format";
import { now, pulse } from "../live";
import { Age, Bars, Change, Moving, StatusMark } from "../parts/marks";
import { Blank, Failed, Loading } from "../parts/states";
import { go, pathOf } from "../router";
import { minScore } from "../settings";
import { t } from "../text";
import type { Group, Item } from "../types";
import { chosen, shown } from "./token_chosen";
import { type Filter, NO_FILTER, type TokenRows } from "./token_rows";

const ROW_PX = 34;
const ROW_PHONE_PX = 56;
const OVERSCAN = 6; // rows beyond the edges
const NEAR = 30; // rows beyond those that are drawn
const HEIGHT_MAX_PX = 15_000_000; // browsers do not scroll farther reliably

const phone = matchMedia("(max-width: 719px)");
const rowHeight = signal(phone.matches ? ROW_PHONE_PX : ROW_PX);
phone.addEventListener("change", (event) => {
  rowHeight.value = event.matches ? ROW_PHONE_PX : ROW_PX;
});

/** As the engine decides it. */
function groupOf(item: Item): Group {
  if (item.status === "archived") return "archived";
  const isPromising = item.score !== null && item.score >= minScore.value;
  return item.status === "active" || isPromising ? "hot" : "cold";
}

const Row = memo(
  (props: { index: number; item: Item | null; isChosen: boolean; height: number }) => {
    const { item, index } = props;
    const style = { transform: `translateY(${index * props.height}px)` };
    if (item === null) {
      return <div class="row empty" role="row" aria-rowindex={index + 2} style={style} />;
    }
    const target = pulse.value?.groups[groupOf(item)].target_s ?? null;
    const open = () => go(pathOf("tokens", item.mint_address));
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the table handles the keys
      <div
        class="row"
        role="row"
        id={`row-${index}`}
        aria-rowindex={index + 2}
        aria-selected={props.isChosen}
        style={style}
        data-mint={item.mint_address}
        onClick={(event) => {
          if (!(event.target as Element).closest("a")) chosen.value = item.mint_address;
        }}
        onDblClick={open}
      >
        <span role="gridcell" class="c-rank n">
          {whole(index + 1)}
        </span>
        <span role="gridcell" class="c-token">
          <a href={pathOf("tokens", item.mint_address)} title={item.mint_address} tabIndex={-1}>
            <b dir="auto">{nameOf(item)}</b>
            <small dir="auto">{item.name !== item.symbol ? item.name : ""}</small>
          </a>
        </span>
        <span role="gridcell" class="c-score n">
          <Moving of={item.mint_address} value={item.score} digits={3} />
        </span>
        <span role="gridcell" class="c-parts">
          <Bars of={item.smoothed_components} />
        </span>
        <span role="gridcell" class="c-status">
          <StatusMark status={item.status} />
        </span>
        <span role="gridcell" class="c-change5 n">
          <Change of={item.delta_p_5m} />
        </span>
        <span role="gridcell" class="c-change15 n">
          <Change of={item.delta_p_15m} />
        </span>
        <span role="gridcell" class="c-tx n">
          {whole(item.n_5m)}
        </span>
        <span role="gridcell" class="c-liquidity n">
          {money(item.liquidity_usd)}
        </span>
        <span role="gridcell" class="c-dex">
          {item.primary_dex ?? ""}
        </span>
        <span role="gridcell" class="c-created n">
          <Since at={item.created_at} />
        </span>
        <span role="gridcell" class="c-age n">
          <Age at={item.last_processed_at} target={target} />
        </span>
      </div>
    );
  },
);

function Since(props: { at: string }) {
  const at = Date.parse(props.at);
  const text = useComputed(() => duration(Math.max(0, (now.value - at) / 1000)));
  return <>{text}</>;
}

const SORTED: Record<string, [string, string]> = {
  score: ["score_desc", "score_asc"],
  liquidity: ["liquidity_desc", "liquidity_asc"],
  created: ["created_desc", "created_asc"],
  age: ["age_asc", "age_desc"],
};

const COLUMNS = [
  "rank",
  "token",
  "score",
  "parts",
  "status",
  "change5",
  "change15",
  "tx",
  "liquidity",
  "dex",
  "created",
  "age",
] as const;
const NUMBERS = new Set([
  "rank",
  "score",
  "change5",
  "change15",
  "tx",
  "liquidity",
  "created",
  "age",
]);

function Head(props: { sort: string; set: (change: Partial<Filter>) => void }) {
  const text = t.value.tokens.columns;
  return (
    <div class="row head" role="row" aria-rowindex={1}>
      {COLUMNS.map((column) => {
        const sorts = SORTED[column];
        const at = sorts ? sorts.indexOf(props.sort) : -1;
        const isDown = props.sort.endsWith("_desc");
        return (
          <span
            key={column}
            role="columnheader"
            class={`c-${column}${NUMBERS.has(column) ? " n" : ""}`}
            aria-sort={at < 0 ? undefined : isDown ? "descending" : "ascending"}
          >
            {sorts ? (
              <button
                type="button"
                onClick={() => props.set({ sort: at === 0 ? sorts[1] : sorts[0] })}
              >
                {text[column]}
                {at >= 0 && <i aria-hidden="true">{isDown ? "↓" : "↑"}</i>}
              </button>
            ) : (
              text[column]
            )}
          </span>
        );
      })}
    </div>
  );
}

interface View {
  first: number;
  count: number;
}

/** What of the box is not covered by the head. */
function openHeight(box: HTMLElement): number {
  const head = box.firstElementChild as HTMLElement | null;
  return box.clientHeight - (head?.offsetHeight ?? 0);
}

function viewOf(box: HTMLElement, height: number): View {
  return {
    first: Math.max(0, Math.floor(box.scrollTop / height) - OVERSCAN),
    count: Math.ceil(box.clientHeight / height) + 2 * OVERSCAN,
  };
}

function Body(props: {
  rows: TokenRows;
  total: number;
  sort: string;
  set: (change: Partial<Filter>) => void;
}) {
  const { rows } = props;
  const height = rowHeight.value;
  const count = Math.min(props.total, Math.floor(HEIGHT_MAX_PX / height));
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<View>({ first: 0, count: 40 });
  const wanted = useRef(-1); // to be chosen once it is loaded
  const wantedItem =
    rows.version.value >= 0 && wanted.current >= 0 ? rows.at(wanted.current) : null;
  useEffect(() => {
    if (!wantedItem) return;
    wanted.current = -1;
    chosen.value = wantedItem.mint_address;
  }, [wantedItem]);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => {
      const next = viewOf(element, height);
      setView((old) => (old.first === next.first && old.count === next.count ? old : next));
    };
    look();
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [height]);

  // another filter begins at its top
  useEffect(() => {
    if (box.current) box.current.scrollTop = 0;
  }, [rows]);

  const last = Math.min(count, view.first + view.count);
  useEffect(() => rows.show(view.first, Math.max(view.first, last - 1)), [rows, view.first, last]);

  const chosenIndex = chosen.value ? rows.indexOf(chosen.value) : -1;
  const mints: string[] = [];
  const drawn: VNode[] = [];
  for (let index = Math.min(view.first, Math.max(0, last - view.count)); index < last; index++) {
    const item = rows.at(index);
    const slot = index % view.count;
    if (item) mints.push(item.mint_address);
    // In the order of their slots: no element is moved, and only those that scrolled in change.
    drawn[slot] = (
      <Row key={slot} index={index} item={item} isChosen={index === chosenIndex} height={height} />
    );
  }
  const seen = mints.join();
  // the text stands for the list
  useEffect(() => {
    const near = [];
    for (let step = 1; step <= NEAR; step++) {
      for (const index of [view.first - step, last - 1 + step]) {
        const item = index >= 0 && rows.at(index);
        if (item) near.push(item.mint_address);
      }
    }
    shown.value = { seen: mints, near };
  }, [seen]);

  const choose = (index: number) => {
    const element = box.current;
    const at = Math.max(0, Math.min(count - 1, index));
    if (!element) return;
    const top = at * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + openHeight(element)) {
      element.scrollTop = top + height - openHeight(element);
    }
    const item = rows.at(at);
    if (item) chosen.value = item.mint_address;
    wanted.current = item ? -1 : at;
  };

  const onKey = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((box.current ? openHeight(box.current) : 0) / height) - 1);
    const from = chosenIndex >= 0 ? chosenIndex : -1;
    const top = box.current ? Math.ceil(box.current.scrollTop / height) : 0;
    const to: Record<string, number> = {
      ArrowDown: from < 0 ? top : from + 1,
      j: from < 0 ? top : from + 1,
      ArrowUp: from < 0 ? top : from - 1,
      k: from < 0 ? top : from - 1,
      PageDown: Math.max(from, 0) + page,
      PageUp: Math.max(from, 0) - page,
      Home: 0,
      End: count - 1,
    };
    const target = to[event.key];
    const isElsewhere = (event.target as Element).closest("button") !== null;
    if (event.ctrlKey || event.metaKey || event.altKey || isElsewhere) return;
    if (target !== undefined) {
      event.preventDefault();
      choose(target);
    } else if (event.key === "Enter" && chosen.value) {
      event.preventDefault();
      go(pathOf("tokens", chosen.value));
    } else if (event.key === "Escape") chosen.value = "";
  };

  return (
    <div
      ref={box}
      id="token-grid"
      class="body"
      role="grid"
      tabIndex={0}
      aria-label={t.value.tokens.table}
      aria-rowcount={count + 1}
      aria-activedescendant={chosenIndex >= 0 ? `row-${chosenIndex}` : undefined}
      onKeyDown={onKey}
    >
      <Head sort={props.sort} set={props.set} />
      <div role="rowgroup" class="rows" style={{ height: `${count * height}px` }}>
        {drawn}
      </div>
    </div>
  );
}

function Nothing(props: { filter: Filter; set: (change: Partial<Filter>) => void }) {
  const text = t.value.tokens;
  const isFiltered = Object.keys(NO_FILTER).some(
    (key) => key !== "sort" && props.filter[key as keyof Filter] !== "",
  );
  if (!isFiltered) return <Blank title={text.none} hint={text.noneHint} />;
  return (
    <Blank title={text.empty} hint={text.emptyHint}>
      <button type="button" onClick={() => props.set(NO_FILTER)}>
        {text.clear}
      </button>
    </Blank>
  );
}

export function TokenTable(props: {
  rows: TokenRows;
  filter: Filter;
  set: (change: Partial<Filter>) => void;
}) {
  const { rows } = props;
  const total = rows.total.value;
  const error = rows.error.value;
  const text = t.value.tokens;
  if (total === null) {
    return error ? <Failed why={error.message} again={() => rows.reload()} /> : <Loading />;
  }
  const most = Math.floor(HEIGHT_MAX_PX / rowHeight.value);
  return (
    <div class="table">
      {total === 0 ? (
        <Nothing filter={props.filter} set={props.set} />
      ) : (
        <Body rows={rows} total={total} sort={props.filter.sort} set={props.set} />
      )}
      <footer class="under">
        <span>
          {text.count(total)}
          {total > most && `, ${text.capped(most)}`}
        </span>
        {error && <span data-level="warn">{t.value.states.stale(error.message)}</span>}
        <a href="/tokens.csv" download="tokens.csv">
          {text.csv}
        </a>
      </footer>
    </div>
  );
}
