// Is it well: overall and why, what to do, what is ahead, who was told.
import { useEffect, useRef } from "preact/hooks";
import { bytes, duration, fixed, moment, NONE, percent, share, whole } from "../format";
import { now, on } from "../live";
import { Plot } from "../parts/plot";
import { Show } from "../parts/states";
import { useLoaded } from "../resource";
import { t } from "../text";
import type { Alert, Alerts, Comprehensive, Finding, Forecast, Signal, Supervisor } from "../types";
import { Nodes } from "./nodes";

const HISTORY_MAX = 300;
const AHEAD_SHARE = 0.35; // of the width of a plot is the future
const RENEW_S = 2;

function levelOf(status: string): "good" | "warn" | "bad" {
  if (["healthy", "running", "good", "quiet"].includes(status)) return "good";
  return ["critical", "error", "dead"].includes(status) ? "bad" : "warn";
}

function severityLevel(severity: string): string | undefined {
  if (severity === "info") return undefined;
  return severity === "warning" ? "warn" : "bad";
}

function Severity(props: { of: string }) {
  return (
    <span class="tag" data-level={severityLevel(props.of)}>
      {t.value.healthPage.severity[props.of] ?? props.of}
    </span>
  );
}

function Reason(props: { of: Finding }) {
  const { of } = props;
  const text = t.value.healthPage;
  return (
    <li>
      <p>
        <Severity of={of.level} /> <b>{of.message}</b>{" "}
        <span class="quiet">
          {text.componentNames[of.component] ?? of.component}, {text.since} {moment(of.timestamp)}
        </span>
      </p>
      {of.context.what_to_do && (
        <p class="quiet">
          {text.todo}: {of.context.what_to_do}
        </p>
      )}
    </li>
  );
}

function Overall(props: { of: Comprehensive }) {
  const { of } = props;
  const text = t.value.healthPage;
  return (
    <section class="panel overall" data-state={of.status}>
      <h2 data-level={levelOf(of.status)}>{text.overall[of.status] ?? of.status}</h2>
      <p class="quiet">{text.overallHint[of.status]}</p>
      {of.alerts.length > 0 && (
        <ul class="reasons">
          {of.alerts.map((finding) => (
            <Reason key={finding.message + finding.timestamp} of={finding} />
          ))}
        </ul>
      )}
      <ul class="lamps" aria-label={text.components}>
        {Object.entries(of.components).map(([name, level]) => (
          <li key={name} data-level={levelOf(level)}>
            <i aria-hidden="true" />
            <span>{text.componentNames[name] ?? name}</span>
            <small>{t.value.health[level] ?? level}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function formatOf(unit: string): (value: number | null | undefined) => string {
  switch (unit) {
    case "seconds":
      return (value) => duration(value, 1);
    case "ratio":
      return (value) => share(value, 1);
    case "bytes":
      return bytes;
    case "percent":
      return (value) => percent(value, 1);
    case "intervals":
      return (value) =>
        value == null ? NONE : `${fixed(value, 1)} ${t.value.healthPage.intervals}`;
    default:
      return (value) => fixed(value, 2);
  }
}

interface Track {
  times: number[];
  values: (number | null)[];
}

/** What each signal was since the page was opened. */
function useTracks(forecast: Forecast | null): Map<string, Track> {
  const tracks = useRef(new Map<string, Track>());
  const seen = useRef<Forecast | null>(null);
  if (forecast && forecast !== seen.current) {
    seen.current = forecast;
    const at = now.peek() / 1000;
    for (const signal of forecast.signals) {
      const track = tracks.current.get(signal.signal) ?? { times: [], values: [] };
      if (at > (track.times.at(-1) ?? 0)) {
        track.times.push(at);
        track.values.push(signal.value);
      }
      if (track.times.length > HISTORY_MAX) {
        track.times.shift();
        track.values.shift();
      }
      tracks.current.set(signal.signal, track);
    }
  }
  return tracks.current;
}

/** The course of a signal: what was, then where its slope leads. */
function courseOf(signal: Signal, track: Track, horizonS: number) {
  const last = track.times.at(-1) ?? 0;
  const span = Math.max(30, last - (track.times[0] ?? last));
  const ahead = Math.min(horizonS, (span * AHEAD_SHARE) / (1 - AHEAD_SHARE));
  const start = signal.level ?? signal.value;
  const slope = signal.slope_per_second ?? 0;
  const floor = signal.unit === "ratio" || signal.unit === "seconds" ? 0 : Number.NEGATIVE_INFINITY;
  const end = start === null ? null : Math.max(floor, start + slope * ahead);
  const was = track.times.length;
  return {
    times: [...track.times, last + ahead],
    past: [...track.values, null],
    future: [...new Array<null>(Math.max(0, was - 1)).fill(null), start, end],
    now: last,
  };
}

function SignalCard(props: { of: Signal; track: Track; horizonS: number }) {
  const { of, track } = props;
  const text = t.value.healthPage;
  const format = formatOf(of.unit);
  const name = text.signalNames[of.signal] ?? of.signal;
  const isOver =
    of.value !== null &&
    of.threshold !== null &&
    (of.hurts === "above" ? of.value >= of.threshold : of.value <= of.threshold);
  const eta = of.seconds_to_threshold;
  const course = courseOf(of, track, props.horizonS);
  const nears = eta !== null && eta > 0;
  return (
    <article class="signal" title={of.what} data-state={of.state}>
      <Plot
        title={name}
        times={course.times}
        height={84}
        axis="none"
        format={format}
        now={course.now}
        {...(of.unit === "ratio" || of.unit === "seconds" || of.unit === "intervals"
          ? { low: 0 }
          : {})}
        lines={[
          { label: name, color: "--accent", shape: "area", values: course.past },
          { label: `${name} →`, color: "--accent", shape: "dashed", values: course.future },
        ]}
        thresholds={[{ value: of.threshold, color: "--bad" }]}
      />
      <p class="quiet">
        {of.threshold === null ? text.calm : `${text.hurts} ${format(of.threshold)}`}
        {isOver && <b data-level="warn"> · {text.over}</b>}
        {!isOver && nears && (
          <b data-level="warn">
            {" "}
            · {text.eta(duration(eta))}, {text.sure(share(of.confidence, 0))}
          </b>
        )}
      </p>
    </article>
  );
}

function Signals(props: { forecast: Forecast; tracks: Map<string, Track> }) {
  const text = t.value.healthPage;
  return (
    <section class="panel">
      <h2>{text.signals}</h2>
      <p class="hint">{text.signalsHint}</p>
      <div class="signals">
        {props.forecast.signals.map((signal) => (
          <SignalCard
            key={signal.signal}
            of={signal}
            track={props.tracks.get(signal.signal) ?? { times: [], values: [] }}
            horizonS={props.forecast.horizon_seconds}
          />
        ))}
      </div>
    </section>
  );
}

function AlertRow(props: { of: Alert }) {
  const { of } = props;
  const text = t.value.healthPage;
  return (
    <li>
      <p>
        <Severity of={of.severity} /> <b>{of.message}</b>
      </p>
      <p class="quiet">
        {text.since} {moment(of.since)} · {of.told ? text.told : text.notTold}
      </p>
      {of.what_to_do && (
        <p class="quiet">
          {text.todo}: {of.what_to_do}
        </p>
      )}
    </li>
  );
}

function AlertsPanel(props: { of: Alerts }) {
  const text = t.value.healthPage;
  const { alerts, messages, sinks } = props.of;
  return (
    <section class="panel">
      <h2>{text.alerts}</h2>
      {alerts.length === 0 ? (
        <p class="quiet">{text.noAlerts}</p>
      ) : (
        <ul class="reasons">
          {alerts.map((alert) => (
            <AlertRow key={alert.cause + alert.subject} of={alert} />
          ))}
        </ul>
      )}
      <h3>{text.messages}</h3>
      {messages.length === 0 ? (
        <p class="quiet">{text.noMessages}</p>
      ) : (
        <ol class="timeline">
          {messages.map((message) => (
            <li key={message.id}>
              <time dateTime={message.at}>{moment(message.at)}</time>
              <p>
                <Severity of={message.severity} /> {message.kind}:{" "}
                {message.alerts.map((alert) => alert.cause.replaceAll("_", " ")).join(", ")}
              </p>
            </li>
          ))}
        </ol>
      )}
      <h3>{text.sinks}</h3>
      <ul class="sinks">
        {Object.entries(sinks).map(([name, sink]) => (
          <li key={name} class={sink.enabled ? "" : "quiet"}>
            <b>{name}</b>{" "}
            {sink.enabled
              ? `${text.delivered(sink.delivered)}${sink.failed > 0 ? `, ${text.failed(sink.failed)}` : ""}`
              : text.off}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Processes(props: { of: Supervisor }) {
  const text = t.value.healthPage;
  return (
    <section class="panel">
      <h2>{text.processes}</h2>
      <ul class="processes">
        {props.of.processes.map((process) => (
          <li key={process.name}>
            <p>
              <b>{process.name}</b> <span data-level={levelOf(process.state)}>{process.state}</span>{" "}
              <span class="quiet">pid {process.pid}</span>
            </p>
            <p class="quiet">
              {text.uptime} {duration(process.uptime_s)} ·{" "}
              {text.restarts(process.restarts_last_hour)} · {whole(process.resident_mb)}{" "}
              {t.value.units.megabyte}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Health() {
  const overall = useLoaded<Comprehensive>("/health/comprehensive", RENEW_S);
  const forecast = useLoaded<Forecast>("/health/forecast", RENEW_S);
  const alerts = useLoaded<Alerts>("/alerts", RENEW_S);
  const supervisor = useLoaded<Supervisor>("/health/supervisor", RENEW_S);
  const tracks = useTracks(forecast.data);
  useEffect(() => on("alert", alerts.reload), [alerts.reload]);
  useEffect(() => on("health", overall.reload), [overall.reload]);
  return (
    <>
      <div class="page-head">
        <h1>{t.value.pages.health}</h1>
      </div>
      <Show of={overall}>{(data) => <Overall of={data} />}</Show>
      <Nodes />
      <Show of={forecast}>{(data) => <Signals forecast={data} tracks={tracks} />}</Show>
      <div class="columns">
        <Show of={alerts}>{(data) => <AlertsPanel of={data} />}</Show>
        <Show of={supervisor}>{(data) => <Processes of={data} />}</Show>
      </div>
    </>
  );
}
