// What broke, how it healed, how long that took, and the flight recorder's last entries before it.
import { useEffect, useState } from "preact/hooks";
import { duration, fixed, moment, NONE, whole } from "../format";
import { on } from "../live";
import { Blank, Show } from "../parts/states";
import { useLoaded } from "../resource";
import { go, pathOf } from "../router";
import { t } from "../text";
import type { Incident, Transition } from "../types";

const SHOWN_FIRST = 60;

interface Healing {
  action?: string;
  start?: string | null;
  why?: string | null;
  replaced_after_us?: number | null;
  attempts?: number | null;
}

function healingOf(incident: Incident): Healing {
  const { healing } = incident;
  return healing && typeof healing === "object" ? (healing as Healing) : {};
}

function words(name: string | null | undefined): string {
  return name ? name.replaceAll("_", " ") : NONE;
}

function afterOf(healing: Healing): string {
  const us = healing.replaced_after_us;
  return us == null ? NONE : duration(us / 1e6, 1);
}

function Row(props: { of: Incident; isOpen: boolean }) {
  const { of } = props;
  const healing = healingOf(of);
  return (
    <a
      class="incident"
      href={pathOf("incidents", String(of.number))}
      aria-current={props.isOpen ? "true" : undefined}
    >
      <span class="quiet">#{of.number}</span>
      <b>{of.process}</b>
      <span>{of.signal ?? words(of.cause)}</span>
      <span class="quiet when">{moment(of.at)}</span>
      <span class="healed" data-level={healing.replaced_after_us == null ? "warn" : "good"}>
        {afterOf(healing)}
      </span>
    </a>
  );
}

function Entry(props: { of: Transition; at: number }) {
  const before = (props.at - Date.parse(props.of.at)) / 1000;
  return (
    <li data-kind={props.of.kind}>
      <span class="n before" title={props.of.at}>
        {before >= 0 ? "−" : "+"}
        {fixed(Math.abs(before), 3)}
      </span>
      <span class="quiet">{props.of.process}</span>
      <span class="kind">{words(props.of.kind)}</span>
      <span class="what">{props.of.text}</span>
    </li>
  );
}

/** When things happened, as ticks on a line, the death at its right end. */
function Ticks(props: { of: Transition[]; at: number; kinds: string[] }) {
  const first = Date.parse(props.of[0]?.at ?? "");
  const span = Math.max(1, props.at - first);
  return (
    <div class="ticks" role="img" aria-label={t.value.incidents.recorder}>
      {props.kinds.map((kind) => (
        <div key={kind} class="lane">
          <span>{words(kind)}</span>
          <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
            <path
              d={props.of
                .filter((entry) => entry.kind === kind)
                .map(
                  (entry) => `M${Math.round((1000 * (Date.parse(entry.at) - first)) / span)} 1v8`,
                )
                .join("")}
            />
          </svg>
        </div>
      ))}
      <div class="lane scale">
        <span />
        <span>
          <span>−{duration(span / 1000)}</span>
          <span>{moment(props.at)}</span>
        </span>
      </div>
    </div>
  );
}

function Recorder(props: { of: Incident }) {
  const { transitions } = props.of;
  const text = t.value.incidents;
  const [kind, setKind] = useState("");
  const [isAll, setAll] = useState(false);
  const at = Date.parse(props.of.at);
  const kinds = [...new Set(transitions.map((entry) => entry.kind))].sort();
  const chosen = transitions.filter((entry) => kind === "" || entry.kind === kind).reverse();
  const shown = isAll ? chosen : chosen.slice(0, SHOWN_FIRST);
  return (
    <section class="recorder">
      <header>
        <h3>
          {text.recorder} <small>{text.recorderHint(transitions.length)}</small>
        </h3>
        <select
          aria-label={text.filter}
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value)}
        >
          <option value="">{text.allKinds}</option>
          {kinds.map((name) => (
            <option key={name} value={name}>
              {words(name)}
            </option>
          ))}
        </select>
      </header>
      <Ticks of={transitions} at={at} kinds={kinds} />
      <ol class="entries">
        {shown.map((entry, i) => (
          <Entry key={`${entry.at}${i}`} of={entry} at={at} />
        ))}
      </ol>
      {shown.length < chosen.length && (
        <button type="button" onClick={() => setAll(true)}>
          {text.showAll(chosen.length)}
        </button>
      )}
    </section>
  );
}

function Detail(props: { of: Incident }) {
  const { of } = props;
  const text = t.value.incidents;
  const healing = healingOf(of);
  const facts: [string, string][] = [
    [text.process, of.process],
    [text.cause, `${words(of.cause)}${of.signal ? `, ${of.signal}` : ""}`],
    [text.generation, whole(of.generation)],
    [text.pid, String(of.pid)],
  ];
  if (of.exit_status !== null) facts.push([text.exit, String(of.exit_status)]);
  if (of.silent_us > 0)
    facts.push([text.silent, `${duration(of.silent_us / 1e6, 1)} (${of.beat})`]);
  facts.push(
    [text.how, [words(healing.action), healing.start].filter(Boolean).join(", ")],
    [text.after, afterOf(healing)],
  );
  return (
    <article class="panel incident-detail">
      <p class="quiet">
        #{of.number} · {moment(of.at)}
      </p>
      <h2>{of.message}</h2>
      <dl class="facts-grid">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {of.backtrace.length > 0 && (
        <>
          <h3>{text.backtrace}</h3>
          <pre>{of.backtrace.join("\n")}</pre>
        </>
      )}
      {of.transitions.length > 0 && <Recorder key={of.number} of={of} />}
    </article>
  );
}

export function Incidents(props: { number: string }) {
  const loaded = useLoaded<Incident[]>("/incidents?limit=50", 10);
  const text = t.value.incidents;
  useEffect(() => on("incident", loaded.reload), [loaded.reload]);
  return (
    <>
      <div class="page-head">
        <h1>{t.value.pages.incidents}</h1>
        {loaded.data && loaded.data.length > 0 && (
          <span class="quiet">{text.count(loaded.data.length)}</span>
        )}
      </div>
      <Show of={loaded}>
        {(incidents) => {
          const first = incidents[0];
          if (!first) return <Blank title={text.none} hint={text.noneHint} />;
          const open = incidents.find((one) => String(one.number) === props.number) ?? first;
          return (
            <div class="incidents">
              <nav
                aria-label={t.value.pages.incidents}
                onKeyDown={(event) => {
                  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
                  const next = incidents[incidents.indexOf(open) + step];
                  if (step === 0 || !next) return;
                  event.preventDefault();
                  go(pathOf("incidents", String(next.number)));
                }}
              >
                {incidents.map((incident) => (
                  <Row key={incident.number} of={incident} isOpen={incident === open} />
                ))}
              </nav>
              <Detail of={open} />
            </div>
          );
        }}
      </Show>
    </>
  );
}
