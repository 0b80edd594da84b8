// How the scheduler does: ages against targets, budgets, load, jobs.
import { useState } from "preact/hooks";
import { send } from "../api";
import { duration, fixed, moment, NONE, share, whole } from "../format";
import { pulse, pulses } from "../live";
import { Histogram } from "../parts/histogram";
import { Plot } from "../parts/plot";
import { Scrolls } from "../parts/scrolls";
import { Show } from "../parts/states";
import { useLoaded } from "../resource";
import { t } from "../text";
import {
  type Freshness,
  GROUPS,
  type Group,
  KINDS,
  type Kind,
  type LoadLevel,
  type Priority,
  type Scheduler as SchedulerAnswer,
} from "../types";

const LEVELS: readonly LoadLevel[] = ["normal", "reduced", "minimal"];

function Ages(props: { group: Group; of: Freshness["groups"][Group] }) {
  const { of, group } = props;
  const text = t.value.scheduler;
  const strip = t.value.strip;
  const late = of.share_on_time !== null && of.share_on_time < 0.9 && group !== "archived";
  return (
    <div class="ages">
      <header>
        <h3>{t.value.groups[group]}</h3>
        <span>
          <b>{whole(of.tokens)}</b> {strip.tokens}
        </span>
        <span>
          <b data-level={late ? "bad" : undefined}>{share(of.share_on_time)}</b> {strip.onTime}
        </span>
      </header>
      {of.tokens === 0 ? (
        <p class="none quiet">{text.empty}</p>
      ) : (
        <Histogram
          label={text.histogram(t.value.groups[group])}
          counts={of.age_counts.counts}
          stepS={of.age_counts.step_s}
        />
      )}
      {of.tokens > 0 && (
        <p class="quiet">
          50 %: {duration(of.age_s.p50, 1)} · 95 %: {duration(of.age_s.p95, 1)} · 99 %:{" "}
          {duration(of.age_s.p99, 1)} · {strip.worst}: {duration(of.age_s.max, 1)}
        </p>
      )}
      <p class="quiet">
        {of.deferred > 0 && (
          <b data-level="warn">
            {strip.deferred(of.deferred)}, {text.oldest} {duration(of.oldest_age_s)}{" "}
          </b>
        )}
        {of.never_refreshed > 0 && text.never(of.never_refreshed)}
      </p>
    </div>
  );
}

function Budgets(props: { fresh: Freshness; priority: Priority | null }) {
  const text = t.value.scheduler;
  const limitOf = (kind: Kind) => props.priority?.capacity[kind].limited_by;
  return (
    <Scrolls label={text.budgets}>
      <table class="list budgets-list">
        <thead>
          <tr>
            <th scope="col">{text.kind}</th>
            <th scope="col" />
            <th scope="col" class="n">
              {text.used}
            </th>
            <th scope="col" class="n">
              {text.allowed}
            </th>
            <th scope="col" class="n">
              {text.configured}
            </th>
            <th scope="col">{text.limitedBy}</th>
            <th scope="col" class="n">
              {text.inFlight}
            </th>
            <th scope="col" class="n">
              {text.waiting}
            </th>
            <th scope="col" class="n">
              {text.latency}
            </th>
          </tr>
        </thead>
        <tbody>
          {KINDS.map((kind) => {
            const budget = props.fresh.budgets[kind];
            const limit = limitOf(kind);
            const allowed = budget.allowed_per_minute;
            return (
              <tr key={kind}>
                <th scope="row">{t.value.kinds[kind]}</th>
                <td class="meter">
                  <i aria-hidden="true">
                    <u
                      style={{
                        "--v": allowed ? Math.min(1, budget.used_last_minute / allowed) : 0,
                      }}
                    />
                  </i>
                </td>
                <td class="n">{whole(budget.used_last_minute)}</td>
                <td class="n">{whole(allowed)}</td>
                <td class="n">{whole(budget.configured_per_minute)}</td>
                <td>{limit ? (text.limits[limit] ?? limit) : NONE}</td>
                <td class="n">{whole(budget.in_flight)}</td>
                <td class="n">{whole(budget.deferred)}</td>
                <td class="n">
                  {fixed(budget.latency_ms, 1)} {t.value.units.millisecond}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scrolls>
  );
}

/** What the pulses of the last minutes say. */
function OverTime() {
  pulse.value; // the list grows in place
  const text = t.value.scheduler;
  const times = pulses.map((seen) => Date.parse(seen.at) / 1000);
  const common = { times, group: "scheduler", height: 140, low: 0 };
  return (
    <section class="panel">
      <h2>{text.overTime}</h2>
      <div class="grid">
        <Plot
          {...common}
          title={text.loadOverTime}
          counts
          high={2}
          format={(value) =>
            value != null && Number.isInteger(value)
              ? (t.value.load[LEVELS[value] ?? "unknown"] ?? "")
              : ""
          }
          lines={[
            {
              label: text.loadOverTime,
              color: "--warn",
              shape: "steps",
              values: pulses.map((seen) => (seen.level ? LEVELS.indexOf(seen.level) : null)),
            },
          ]}
        />
        <Plot
          {...common}
          title={text.budgetOverTime}
          counts
          format={whole}
          lines={KINDS.map((kind, i) => ({
            label: t.value.kinds[kind],
            color: `--p${i}`,
            values: pulses.map((seen) => seen.budgets[kind].used_per_min),
          }))}
        />
        <Plot
          {...common}
          title={text.ageOverTime}
          format={duration}
          lines={GROUPS.slice(0, 2).map((group, i) => ({
            label: t.value.groups[group],
            color: i === 0 ? "--p2" : "--p0",
            values: pulses.map((seen) => seen.groups[group].age_p95_s),
          }))}
        />
        <Plot
          {...common}
          title={text.deferredOverTime}
          counts
          format={whole}
          lines={GROUPS.slice(0, 2).map((group, i) => ({
            label: t.value.groups[group],
            color: i === 0 ? "--p2" : "--p0",
            shape: "area" as const,
            values: pulses.map((seen) => seen.groups[group].deferred),
          }))}
        />
      </div>
    </section>
  );
}

function Capacity(props: { priority: Priority }) {
  const text = t.value.scheduler;
  const bounds = Object.keys(props.priority.capacity.refresh.per_minute);
  return (
    <section class="panel">
      <h2>{text.capacity}</h2>
      <p class="hint">{text.capacityHint}</p>
      <Scrolls label={text.capacity}>
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{text.kind}</th>
              {bounds.map((bound) => (
                <th key={bound} scope="col" class="n">
                  {text.limits[bound] ?? bound}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {KINDS.map((kind) => {
              const capacity = props.priority.capacity[kind];
              return (
                <tr key={kind}>
                  <th scope="row">{t.value.kinds[kind]}</th>
                  {bounds.map((bound) => (
                    <td
                      key={bound}
                      class={`n${capacity.limited_by === bound ? " strong" : " quiet"}`}
                    >
                      {whole(capacity.per_minute[bound])}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scrolls>
    </section>
  );
}

function Load(props: { priority: Priority }) {
  const { load, features } = props.priority;
  const text = t.value.scheduler;
  return (
    <section class="panel">
      <h2>{text.load}</h2>
      <p class="level">
        <b>{t.value.load[load.level ?? "unknown"]}</b>{" "}
        <span class="quiet">{load.keeps_up === false ? text.behind : text.keepsUp}</span>
      </p>
      <p class="quiet">{load.why}</p>
      <h3>{text.features}</h3>
      <ul class="features">
        {features.map((feature) => (
          <li key={feature.name}>
            <span data-level={feature.on ? "good" : "warn"}>{feature.on ? text.on : text.off}</span>
            <b>{feature.name.replaceAll("_", " ")}</b>
            <span class="quiet">{feature.off_means}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Jobs(props: { of: SchedulerAnswer }) {
  const text = t.value.scheduler;
  return (
    <section class="panel">
      <h2>{text.jobs}</h2>
      <Scrolls label={text.jobs}>
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{text.job}</th>
              <th scope="col">{text.lastRun}</th>
              <th scope="col" class="n">
                {text.interval}
              </th>
              <th scope="col" class="n">
                {text.runs}
              </th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(props.of.jobs).map(([name, job]) => (
              <tr key={name}>
                <th scope="row">{text.jobsNames[name] ?? name}</th>
                <td>{job.running_since ? text.running : moment(job.last_run)}</td>
                <td class="n">{duration(job.interval_seconds)}</td>
                <td class="n">{whole(job.runs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolls>
    </section>
  );
}

function Pause() {
  const text = t.value.scheduler;
  const [problem, setProblem] = useState("");
  const isPaused = pulse.value?.paused ?? false;
  const press = () => {
    setProblem("");
    send("POST", isPaused ? "/admin/resume" : "/admin/pause").catch((error: Error) =>
      setProblem(error.message),
    );
  };
  return (
    <>
      {problem && (
        <span role="alert" data-level="bad">
          {problem}
        </span>
      )}
      <button type="button" onClick={press}>
        {isPaused ? text.resume : text.pause}
      </button>
    </>
  );
}

export function Scheduler() {
  const fresh = useLoaded<Freshness>("/health/freshness", 1);
  const priority = useLoaded<Priority>("/health/priority", 2);
  const scheduler = useLoaded<SchedulerAnswer>("/health/scheduler", 2);
  const text = t.value.scheduler;
  return (
    <>
      <div class="page-head">
        <h1>{t.value.pages.scheduler}</h1>
        {scheduler.data && (
          <span class="quiet">
            {text.tokensPerMinute}: <b>{whole(scheduler.data.performance.tokens_per_minute)}</b> ·{" "}
            {text.errors}: <b>{whole(scheduler.data.performance.total_errors_last_hour)}</b>
          </span>
        )}
        <Pause />
      </div>
      <Show of={fresh}>
        {(data) => (
          <>
            <section class="panel">
              <h2>{text.ages}</h2>
              <p class="hint">{text.agesHint}</p>
              <div class="grid three">
                {GROUPS.map((group) => (
                  <Ages key={group} group={group} of={data.groups[group]} />
                ))}
              </div>
            </section>
            <section class="panel">
              <h2>{text.budgets}</h2>
              <Budgets fresh={data} priority={priority.data} />
            </section>
          </>
        )}
      </Show>
      <OverTime />
      <div class="columns">
        <Show of={priority}>
          {(data) => (
            <>
              <Load priority={data} />
              <Capacity priority={data} />
            </>
          )}
        </Show>
        <Show of={scheduler}>{(data) => <Jobs of={data} />}</Show>
      </div>
    </>
  );
}
