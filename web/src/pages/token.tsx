// One token: its plots, why it has its score, its pools, figures and life.
import { useEffect, useState } from "preact/hooks";
import { ApiError, send } from "../api";
import {
  change,
  duration,
  fixed,
  moment,
  money,
  NONE,
  nameOf,
  price,
  sentence,
  share,
  short,
  whole,
} from "../format";
import { now, on, watch } from "../live";
import { Age, Moving, StatusMark } from "../parts/marks";
import { Plot } from "../parts/plot";
import { Links, PoolTable } from "../parts/pools";
import { Blank, Show } from "../parts/states";
import { useLoaded } from "../resource";
import { pathOf } from "../router";
import { t } from "../text";
import {
  COMPONENTS,
  type Explanation,
  type History,
  type Item,
  type LifeEvent,
  type Token,
} from "../types";

const RANGES = { m15: 900, h1: 3600, h6: 21_600, d1: 86_400, d7: 604_800 } as const;
type Range = keyof typeof RANGES;
const POINTS = 300;
const RENEW_S = 5;

/** What the stream says of it since the page was opened. */
function useItem(mint: string): Item | null {
  const [item, setItem] = useState<Item | null>(null);
  useEffect(() => {
    watch([mint]);
    const stop = on("token", (event) => {
      if (event.item.mint_address === mint) setItem(event.item);
    });
    return () => {
      stop();
      watch([]);
    };
  }, [mint]);
  return item;
}

function Copy(props: { text: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(props.text).catch(() => {});
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="plain" onClick={copy}>
      {isDone ? t.value.token.copied : t.value.token.copy}
    </button>
  );
}

function Refresh(props: { mint: string; done: () => void }) {
  const text = t.value.token;
  const [state, setState] = useState<"idle" | "busy" | "done" | string>("idle");
  const refresh = async () => {
    setState("busy");
    try {
      await send("POST", `/tokens/${props.mint}/refresh`);
      setState("done");
      props.done();
    } catch (problem) {
      setState(problem instanceof ApiError ? problem.message : String(problem));
    }
  };
  const said =
    state === "busy" || state === "idle"
      ? ""
      : state === "done"
        ? text.refreshed
        : `${text.refreshFailed}: ${state}`;
  return (
    <span class="refresh">
      <span role="status" data-level={state === "done" ? "good" : "bad"}>
        {said}
      </span>
      <button type="button" class="primary" disabled={state === "busy"} onClick={refresh}>
        {state === "busy" ? text.refreshing : text.refresh}
      </button>
    </span>
  );
}

function Head(props: { token: Token; item: Item | null; done: () => void }) {
  const { token, item } = props;
  const score = item ? item.score : token.score;
  const text = t.value.token;
  return (
    <header class="token-head">
      <div class="who">
        <a class="back" href={pathOf("tokens")}>
          ← {text.back}
        </a>
        <h1 dir="auto">{nameOf(token)}</h1>
        <p class="quiet name" dir="auto">
          {token.name ?? ""}
        </p>
        <p class="facts">
          <StatusMark status={item?.status ?? token.status} />
          <code>{token.mint_address}</code>
          <Copy text={token.mint_address} />
          <Links mint={token.mint_address} />
        </p>
      </div>
      <dl class="big">
        <div>
          <dt>{text.score}</dt>
          <dd id="token-score">
            <Moving of={token.mint_address} value={score} digits={3} />
          </dd>
        </div>
        <div>
          <dt>{text.liquidity}</dt>
          <dd>{money(item?.liquidity_usd ?? token.liquidity_usd)}</dd>
        </div>
        <div>
          <dt>{text.data}</dt>
          <dd>
            <Age at={item?.last_processed_at ?? token.metrics.fetched_at} target={null} />
          </dd>
        </div>
      </dl>
      <Refresh mint={token.mint_address} done={props.done} />
    </header>
  );
}

function Ranges(props: { range: Range; choose: (range: Range) => void }) {
  const text = t.value.token;
  return (
    <div class="tabs" role="group" aria-label={text.range}>
      {(Object.keys(RANGES) as Range[]).map((range) => (
        <button
          key={range}
          type="button"
          aria-pressed={range === props.range}
          onClick={() => props.choose(range)}
        >
          {text.ranges[range]}
        </button>
      ))}
    </div>
  );
}

/** The start of the range, moved on only so often that the address stays the same meanwhile. */
function useHistory(mint: string, range: Range) {
  const span = RANGES[range];
  const step = Math.max(1, Math.round(span / POINTS));
  const from = Math.floor((now.value / 1000 - span) / (step * 10)) * step * 10;
  const iso = new Date(from * 1000).toISOString();
  const loaded = useLoaded<History>(
    `/tokens/${mint}/history?from=${encodeURIComponent(iso)}&step=${step}`,
    RENEW_S,
  );
  const [kept, setKept] = useState(loaded);
  useEffect(() => {
    if (loaded.data || loaded.error) setKept(loaded);
  }, [loaded.data, loaded.error]);
  return loaded.data || loaded.error ? loaded : { ...kept, reload: loaded.reload };
}

function Plots(props: { mint: string }) {
  const [range, setRange] = useState<Range>("h1");
  const loaded = useHistory(props.mint, range);
  const text = t.value.token;
  return (
    <section class="plots panel">
      <header>
        <h2>{text.history}</h2>
        <Ranges range={range} choose={setRange} />
      </header>
      <Show of={loaded}>
        {(history) => {
          const points = history.points;
          const times = points.map((point) => Date.parse(point.at) / 1000);
          const common = { times, group: "token" };
          return (
            <div class="grid">
              <Plot
                {...common}
                title={text.price}
                format={price}
                lines={[
                  {
                    label: text.price,
                    color: "--accent",
                    shape: "area",
                    values: points.map((p) => p.price_usd),
                  },
                ]}
              />
              <Plot
                {...common}
                title={text.score}
                format={(value) => fixed(value, 3)}
                lines={[
                  {
                    label: text.score,
                    color: "--good",
                    shape: "area",
                    values: points.map((p) => p.score),
                  },
                ]}
              />
              <Plot
                {...common}
                title={text.liquidity}
                format={money}
                lines={[
                  {
                    label: text.liquidity,
                    color: "--p1",
                    shape: "area",
                    values: points.map((p) => p.liquidity_usd),
                  },
                ]}
              />
              <Plot
                {...common}
                title={text.volume}
                format={money}
                low={0}
                lines={[
                  {
                    label: text.volume,
                    color: "--p0",
                    shape: "bars",
                    values: points.map((p) => p.volume_5m),
                  },
                ]}
              />
              <div class="whole">
                <Plot
                  {...common}
                  title={text.components}
                  format={(value) => fixed(value, 2)}
                  height={190}
                  lines={COMPONENTS.map((name, i) => ({
                    label: t.value.components[name].name,
                    color: `--p${i}`,
                    values: points.map((p) => p.components?.[name] ?? null),
                  }))}
                />
              </div>
            </div>
          );
        }}
      </Show>
    </section>
  );
}

function Why(props: { mint: string }) {
  const loaded = useLoaded<Explanation>(`/tokens/${props.mint}/explain`, RENEW_S);
  const text = t.value.token;
  return (
    <section class="panel">
      <h2>{text.why}</h2>
      <Show of={loaded}>
        {(why) => (
          <>
            <table class="list why">
              <thead>
                <tr>
                  <th scope="col">{text.component}</th>
                  <th scope="col" class="n">
                    {text.raw}
                  </th>
                  <th scope="col" class="n">
                    {text.smoothed}
                  </th>
                  <th scope="col" class="n">
                    × {text.weight}
                  </th>
                  <th scope="col" class="n">
                    {text.contribution}
                  </th>
                </tr>
              </thead>
              {why.components.map((part) => {
                const place = COMPONENTS.indexOf(part.name);
                return (
                  <tbody key={part.name} data-part={place}>
                    <tr>
                      <th scope="row">
                        <i aria-hidden="true" />
                        {t.value.components[part.name]?.name ?? part.name}
                      </th>
                      <td class="n">{fixed(part.raw, 3)}</td>
                      <td class="n">{fixed(part.smoothed, 3)}</td>
                      <td class="n">{fixed(part.weight, 2)}</td>
                      <td class="n">
                        <b>{fixed(part.contribution, 3)}</b>
                      </td>
                    </tr>
                    <tr class="sentence">
                      <td colSpan={5}>{part.sentence}</td>
                    </tr>
                  </tbody>
                );
              })}
              <tfoot>
                <tr>
                  <th scope="row" colSpan={4}>
                    {text.sum}
                  </th>
                  <td class="n">
                    <b>{fixed(why.smoothed_score, 3)}</b>
                  </td>
                </tr>
              </tfoot>
            </table>
            {why.status_reason && <p class="reason">{sentence(why.status_reason)}</p>}
            {why.activates ? (
              <p data-level="good">{text.whyActive}</p>
            ) : (
              why.why_not.length > 0 && (
                <>
                  <h3>{text.whyNot}</h3>
                  <ul class="sentences">
                    {why.why_not.map((sentence) => (
                      <li key={sentence}>{sentence}</li>
                    ))}
                  </ul>
                </>
              )
            )}
          </>
        )}
      </Show>
    </section>
  );
}

function Facts(props: { token: Token }) {
  const text = t.value.token;
  const m = props.token.metrics;
  const bought = m.buys_volume_5m ?? 0;
  const sold = m.sells_volume_5m ?? 0;
  const rows: [string, string][] = [
    [text.trades5, whole(m.tx_count_5m)],
    [text.trades60, whole(m.tx_count_1h)],
    [text.volume5, money(m.volume_5m)],
    [text.volume60, money(m.volume_1h)],
    [
      text.buys,
      bought + sold > 0 ? `${money(bought)} (${share(bought / (bought + sold), 0)})` : NONE,
    ],
    [text.sells, bought + sold > 0 ? `${money(sold)} (${share(sold / (bought + sold), 0)})` : NONE],
    [text.change5, change(m.delta_p_5m)],
    [text.change15, change(m.delta_p_15m)],
    [text.age, m.hours_since_creation === null ? NONE : duration(m.hours_since_creation * 3600)],
    [text.mainPool, m.primary_dex ? `${m.primary_dex}, ${money(m.primary_liq_usd)}` : NONE],
  ];
  return (
    <section class="panel">
      <h2>{text.facts}</h2>
      <dl class="pairs">
        {rows.map(([name, value]) => (
          <>
            <dt key={name}>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}

function Life(props: { mint: string }) {
  const loaded = useLoaded<{ events: LifeEvent[] }>(`/tokens/${props.mint}/life`, RENEW_S * 2);
  const text = t.value.token;
  const name = (status: string | null) =>
    status === null ? text.born : (t.value.status[status as keyof typeof t.value.status] ?? status);
  return (
    <section class="panel">
      <h2>{text.life}</h2>
      <Show of={loaded}>
        {(life) =>
          life.events.length === 0 ? (
            <p class="quiet">{text.noLife}</p>
          ) : (
            <ol class="timeline">
              {life.events.map((event) => (
                <li key={event.at + event.to} data-status={event.to}>
                  <time dateTime={event.at}>{moment(event.at)}</time>
                  <p>
                    {event.from !== null && <span class="quiet">{name(event.from)} → </span>}
                    <b>{name(event.to)}</b>
                  </p>
                  <p class="quiet">{event.reason}</p>
                </li>
              ))}
            </ol>
          )
        }
      </Show>
    </section>
  );
}

export function TokenPage(props: { mint: string }) {
  const mint = encodeURIComponent(props.mint);
  const loaded = useLoaded<Token>(`/tokens/${mint}?history_limit=1`, RENEW_S);
  const item = useItem(props.mint);
  const text = t.value.token;
  const status = loaded.error?.status;
  if (loaded.data === null && (status === 404 || status === 400 || status === 422)) {
    return (
      <Blank title={text.unknown} hint={text.unknownHint}>
        <a class="button" href={pathOf("tokens")}>
          {text.back}
        </a>
      </Blank>
    );
  }
  return (
    <Show of={loaded}>
      {(token) => (
        <>
          <Head token={token} item={item} done={loaded.reload} />
          <div class="token-columns">
            <div>
              <Plots mint={mint} />
            </div>
            <div>
              <Why mint={mint} />
              <section class="panel">
                <h2>
                  {text.pools} <small>{short(token.pools.length)}</small>
                </h2>
                <div class="pools">
                  <PoolTable pools={token.pools} isShort />
                </div>
              </section>
              <Facts token={token} />
              <Life mint={mint} />
            </div>
          </div>
        </>
      )}
    </Show>
  );
}
