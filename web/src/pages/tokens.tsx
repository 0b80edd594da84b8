// The ranked tokens: filter, table, and what is chosen beside it.
import { effect } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { whole } from "../format";
import { epoch, link, on, pulse, watch } from "../live";
import { Strip } from "../parts/strip";
import { noteQuery } from "../router";
import { t } from "../text";
import { chosen, shown } from "./token_chosen";
import { Peek } from "./token_peek";
import { type Filter, NO_FILTER, TokenRows } from "./token_rows";
import { TokenTable } from "./token_table";

const RENEW_EVERY = 2; // pulses
const TYPING_MS = 250;

function filterOf(query: URLSearchParams): Filter {
  return {
    status: query.get("status") ?? "",
    group: query.get("group") ?? "",
    search: query.get("search") ?? "",
    minScore: query.get("min_score") ?? "",
    sort: query.get("sort") ?? NO_FILTER.sort,
  };
}

function noteFilter(filter: Filter): void {
  noteQuery({
    status: filter.status,
    group: filter.group,
    search: filter.search,
    min_score: filter.minScore,
    sort: filter.sort === NO_FILTER.sort ? "" : filter.sort,
  });
}

function useRows(filter: Filter): TokenRows {
  const rows = useMemo(() => new TokenRows(filter), [filter]);
  useEffect(() => () => rows.close(), [rows]);
  useEffect(() => on("token", (event) => rows.apply(event.item)), [rows]);
  useEffect(() => {
    let count = 0;
    return pulse.subscribe(() => {
      if (++count % RENEW_EVERY === 0 && !document.hidden) rows.renew();
    });
  }, [rows]);
  const missed = epoch.value;
  const isLive = link.value === "live";
  // both say that something was missed
  useEffect(() => {
    if (rows.total.peek() !== null || rows.error.peek() !== null) rows.reload();
  }, [rows, missed, isLive]);
  return rows;
}

const TABS = ["", "active", "monitoring", "archived", "all"] as const;

function Tabs(props: { status: string; choose: (status: string) => void }) {
  const text = t.value.tokens;
  const counts = pulse.value?.tokens;
  const names: Record<string, string> = {
    "": text.followed,
    all: text.all,
    ...t.value.status,
  };
  const numbers: Record<string, number | undefined> = {
    "": counts ? counts.active + counts.monitoring : undefined,
    all: counts?.total,
    active: counts?.active,
    monitoring: counts?.monitoring,
    archived: counts?.archived,
  };
  return (
    <div class="tabs" role="group" aria-label={text.status}>
      {TABS.map((status) => (
        <button
          key={status}
          type="button"
          aria-pressed={props.status === status}
          onClick={() => props.choose(status)}
        >
          <span class="first">{names[status]}</span>
          {numbers[status] !== undefined && <small>{whole(numbers[status])}</small>}
        </button>
      ))}
    </div>
  );
}

function Tools(props: { filter: Filter; set: (change: Partial<Filter>) => void }) {
  const { filter, set } = props;
  const text = t.value.tokens;
  const [search, setSearch] = useState(filter.search);
  useEffect(() => setSearch(filter.search), [filter.search]);
  useEffect(() => {
    if (search === filter.search) return;
    const timer = setTimeout(() => set({ search }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [search, filter.search, set]);
  const sorts = Object.entries(text.sorts);
  return (
    <div class="tools" role="search">
      <Tabs status={filter.status} choose={(status) => set({ status })} />
      <input
        type="search"
        aria-label={text.search}
        placeholder={text.search}
        value={search}
        maxLength={60}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => setSearch(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && search !== "") setSearch("");
          else if (event.key === "Enter" || event.key === "ArrowDown" || event.key === "Escape") {
            event.preventDefault();
            document.getElementById("token-grid")?.focus();
          }
        }}
      />
      <select
        aria-label={text.group}
        value={filter.group}
        onChange={(event) => set({ group: event.currentTarget.value })}
      >
        <option value="">{text.anyGroup}</option>
        {Object.entries(t.value.groups).map(([group, name]) => (
          <option key={group} value={group}>
            {name}
          </option>
        ))}
      </select>
      <input
        type="number"
        step="0.1"
        aria-label={text.minScore}
        placeholder={text.minScoreShort}
        value={filter.minScore}
        onChange={(event) => set({ minScore: event.currentTarget.value })}
      />
      <select
        aria-label={text.sort}
        class="sorts"
        value={filter.sort}
        onChange={(event) => set({ sort: event.currentTarget.value })}
      >
        {sorts.map(([sort, name]) => (
          <option key={sort} value={sort}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

export function Tokens(props: { query: URLSearchParams }) {
  const [filter, setFilter] = useState(() => filterOf(props.query));
  const address = props.query.toString();
  // the text stands for the query
  useEffect(() => setFilter(filterOf(props.query)), [address]);
  const rows = useRows(filter);
  useEffect(() => {
    const stop = effect(() => {
      const { seen, near } = shown.value;
      watch([...seen, chosen.value].filter(Boolean), near);
    });
    return () => {
      stop();
      watch([]);
    };
  }, []);
  const set = useMemo(
    () => (change: Partial<Filter>) =>
      setFilter((old) => {
        const next = { ...old, ...change };
        noteFilter(next);
        return next;
      }),
    [],
  );
  return (
    <div class="tokens">
      <h1 class="hidden">{t.value.pages.tokens}</h1>
      <Strip />
      <Tools filter={filter} set={set} />
      <div class="split">
        <TokenTable rows={rows} filter={filter} set={set} />
        <Peek />
      </div>
    </div>
  );
}
