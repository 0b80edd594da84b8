// What matters in one line: the groups, the budgets, load and engine. From the pulse.
import { duration, NONE, share, whole } from "../format";
import { pulse } from "../live";
import { t } from "../text";
import { GROUPS, type Group, KINDS, type Kind, type Pulse } from "../types";

function onTimeLevel(ratio: number | null, group: Group): string | undefined {
  if (ratio === null || group === "archived") return undefined;
  return ratio >= 0.99 ? "good" : ratio >= 0.9 ? "warn" : "bad";
}

function GroupCell(props: { group: Group; pulse: Pulse | null }) {
  const group = props.pulse?.groups[props.group];
  const text = t.value.strip;
  return (
    <section class="cell" data-group={props.group}>
      <h2>{t.value.groups[props.group]}</h2>
      <p class="figure">
        {whole(group?.tokens)} <small>{text.tokens}</small>
      </p>
      <p class="line">
        <b data-level={group ? onTimeLevel(group.on_time_ratio, props.group) : undefined}>
          {share(group?.on_time_ratio)}
        </b>{" "}
        {text.onTime}
      </p>
      <p class="line quiet">
        {text.age} {duration(group?.age_p50_s)} / {duration(group?.target_s)} · {text.worst}{" "}
        {duration(group?.age_max_s)}
        {group && group.deferred > 0 ? ` · ${text.deferred(group.deferred)}` : ""}
      </p>
    </section>
  );
}

export function BudgetBar(props: {
  kind: Kind;
  used: number | undefined;
  allowed: number | null | undefined;
}) {
  const part = props.used && props.allowed ? Math.min(1, props.used / props.allowed) : 0;
  return (
    <div class="budget">
      <span>{t.value.kinds[props.kind]}</span>
      <i aria-hidden="true">
        <u style={{ "--v": part }} />
      </i>
      <b>
        {whole(props.used)}
        <small> / {whole(props.allowed)}</small>
      </b>
    </div>
  );
}

export function Strip() {
  const seen = pulse.value;
  const text = t.value.strip;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: on a phone it scrolls sideways
    <div class="strip" role="group" aria-label={text.label} tabIndex={0}>
      {GROUPS.map((group) => (
        <GroupCell key={group} group={group} pulse={seen} />
      ))}
      <section class="cell budgets">
        <h2>{text.budget}</h2>
        {KINDS.map((kind) => (
          <BudgetBar
            key={kind}
            kind={kind}
            used={seen?.budgets[kind].used_per_min}
            allowed={seen?.budgets[kind].allowed_per_min}
          />
        ))}
      </section>
      <section class="cell small">
        <h2>{text.load}</h2>
        <p class="figure word">{seen?.level ? t.value.load[seen.level] : NONE}</p>
        <p class="line quiet" title={text.engine}>
          {seen ? text.generation(seen.engine.generation) : NONE}
        </p>
      </section>
    </div>
  );
}
