// Who works on what, when this daemon is one of several nodes; of one that is alone, nothing.
import { duration, fixed, moment, NONE, share, whole } from "../format";
import { Scrolls } from "../parts/scrolls";
import { useLoaded } from "../resource";
import { t } from "../text";
import type { Cluster, Member } from "../types";

const RENEW_S = 2;
const COLUMNS = 64;
const ROW = 10; // height of a row of slots, in the map's own units, and of that the gap below it
const GAP = 2;
const CLOCK_OFF_S = 1; // from there on it is a finding
const RENEWALS = 3; // a lease time

/** Apart from each other, from the accent that is this node's, and from the red of nobody's. */
function hueOf(index: number): number {
  const part = (index * 0.618 + 0.08) % 1;
  const hue = 30 + part * 240;
  return hue < 190 ? hue : hue + 55;
}

function ownerOf(members: Member[], index: number | null): "self" | "other" | "nobody" {
  const member = index === null ? undefined : members[index];
  return member === undefined ? "nobody" : member.is_self ? "self" : "other";
}

function nameOf(member: Member): string {
  return member.name ?? t.value.nodes.unnamed(member.session);
}

interface Piece {
  owner: number | null;
  column: number;
  row: number;
  length: number;
}

/** Runs of slots, cut where a row of the map ends. */
function piecesOf(owners: [number | null, number][]): Piece[] {
  const pieces: Piece[] = [];
  let slot = 0;
  for (const [owner, count] of owners) {
    for (let left = count; left > 0; ) {
      const column = slot % COLUMNS;
      const length = Math.min(left, COLUMNS - column);
      pieces.push({ owner, column, row: Math.floor(slot / COLUMNS), length });
      slot += length;
      left -= length;
    }
  }
  return pieces;
}

function SlotMap(props: { slots: NonNullable<Cluster["slots"]>; members: Member[] }) {
  const { slots, members } = props;
  const text = t.value.nodes;
  const said = members.map((member) => text.slotsOf(nameOf(member), member.slots));
  if (slots.free > 0) said.push(text.free(slots.free));
  return (
    <svg
      class="slots"
      viewBox={`0 0 ${COLUMNS} ${(slots.total / COLUMNS) * ROW - GAP}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${text.map}: ${said.join(", ")}`}
    >
      {piecesOf(slots.owners).map(({ owner, column, row, length }) => (
        <rect
          key={row * COLUMNS + column}
          x={column}
          y={row * ROW}
          width={length}
          height={ROW - GAP}
          data-owner={ownerOf(members, owner)}
          style={{ "--hue": hueOf(owner ?? 0) }}
        />
      ))}
    </svg>
  );
}

function Row(props: { of: Member; index: number; cluster: Cluster }) {
  const { of, index, cluster } = props;
  const text = t.value.nodes;
  const total = cluster.slots?.total ?? 1;
  const lease = cluster.node?.lease_seconds ?? 0;
  const isSilent =
    of.renewed_seconds_ago !== null && of.renewed_seconds_ago > (2 * lease) / RENEWALS;
  const isOff = Math.abs(of.clock_offset_seconds ?? 0) > CLOCK_OFF_S;
  return (
    <tr data-owner={of.is_self ? "self" : "other"} style={{ "--hue": hueOf(index) }}>
      <th scope="row">
        <span class="who">
          <i class="swatch" aria-hidden="true" />
          <bdi title={nameOf(of)}>{nameOf(of)}</bdi>
          {of.is_self && <span class="tag">{text.self}</span>}
          {of.holds_source && (
            <span class="tag" title={text.sourceHint}>
              {text.source}
            </span>
          )}
          {of.is_leaving && (
            <span class="tag" data-level="warn">
              {text.leaving}
            </span>
          )}
        </span>
      </th>
      <td class="n">{whole(of.slots)}</td>
      <td class="meter">
        <i aria-hidden="true">
          <u style={{ "--v": of.slots / total }} />
        </i>
      </td>
      <td class="n">{share(of.slots / total, 1)}</td>
      <td class="n" data-level={of.capacity_per_second === 0 ? "warn" : undefined}>
        {whole(of.capacity_per_second)}
      </td>
      <td class="n" data-level={isSilent ? "warn" : undefined}>
        {of.renewed_seconds_ago === null ? NONE : text.ago(duration(of.renewed_seconds_ago, 1))}
      </td>
      <td class="n" data-level={isOff ? "warn" : undefined}>
        {clockText(of.clock_offset_seconds)}
      </td>
    </tr>
  );
}

function clockText(offset: number | null): string {
  if (offset === null) return NONE;
  const isMilliseconds = Math.abs(offset) < 1;
  const value = isMilliseconds ? offset * 1000 : offset;
  const unit = isMilliseconds ? t.value.units.millisecond : t.value.units.second;
  return `${value > 0 ? "+" : ""}${fixed(value, isMilliseconds ? 0 : 2)} ${unit}`;
}

function Members(props: { of: Cluster }) {
  const text = t.value.nodes;
  return (
    <Scrolls label={text.title}>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">{text.node}</th>
            <th scope="col" class="n">
              {text.slots}
            </th>
            <td class="meter" />
            <th scope="col" class="n">
              {text.share}
            </th>
            <th scope="col" class="n">
              {text.capacity}
            </th>
            <th scope="col" class="n">
              {text.renewed}
            </th>
            <th scope="col" class="n">
              {text.clock}
            </th>
          </tr>
        </thead>
        <tbody>
          {props.of.members.map((member, index) => (
            <Row key={member.session} of={member} index={index} cluster={props.of} />
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

function Fact(props: { name: string; value: string; level?: string | undefined }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd data-level={props.level}>{props.value}</dd>
    </div>
  );
}

function Facts(props: { of: Cluster }) {
  const { node, exchanges, following, slots } = props.of;
  const text = t.value.nodes;
  if (!node || !exchanges || !following || !slots) return null;
  const isOver = node.lease_left_seconds === 0;
  const moving = slots.catching_up + slots.draining + slots.releasing;
  const behind = following.behind_seconds;
  return (
    <dl class="facts-grid">
      <Fact
        name={text.lease}
        value={
          isOver
            ? text.over
            : text.leaseLeft(duration(node.lease_left_seconds, 1), duration(node.lease_seconds))
        }
        level={isOver ? "bad" : undefined}
      />
      <Fact
        name={text.behind}
        value={behind === null ? NONE : text.behindBy(duration(behind, 1))}
        level={behind !== null && behind > 5 ? "warn" : undefined}
      />
      <Fact name={text.own} value={text.ownOf(whole(node.own_tokens), whole(node.tokens))} />
      <Fact name={text.moving} value={whole(moving)} />
      <Fact
        name={text.exchanges}
        value={text.failedOf(whole(exchanges.failed), whole(exchanges.total))}
      />
      <Fact name={text.lapses} value={whole(exchanges.lapses)} />
      <Fact name={text.refused} value={whole(following.writes_refused)} />
    </dl>
  );
}

/** What nobody has, as far as this node has seen the others. */
function Unowned(props: { of: Cluster }) {
  const { slots, source } = props.of;
  const text = t.value.nodes;
  return (
    <>
      {slots && slots.free > 0 && (
        <p class="trouble" data-level="bad">
          {text.free(slots.free)}, {text.longest(duration(slots.free_seconds, 1))}
        </p>
      )}
      {source?.member === null && (
        <p class="trouble" data-level="bad">
          {text.noSource}
        </p>
      )}
    </>
  );
}

function Failure(props: { of: Cluster }) {
  const { exchanges } = props.of;
  if (!exchanges?.failure) return null;
  return (
    <p class="quiet trouble">
      {t.value.nodes.failure}, {moment(exchanges.failed_at)}: {exchanges.failure}
    </p>
  );
}

const LEVELS: Record<string, string> = { working: "good", resting: "bad", joining: "bad" };

export function Nodes() {
  const { data } = useLoaded<Cluster>("/health/cluster", RENEW_S);
  const text = t.value.nodes;
  if (!data?.node || !data.slots) return null;
  const { node, slots, members } = data;
  return (
    <section class="panel nodes">
      <header>
        <h2>{text.title}</h2>
        <span data-level={LEVELS[node.state] ?? "warn"}>
          {text.states[node.state] ?? node.state}
        </span>
      </header>
      {members.length > 0 && (
        <>
          <p class="hint">{text.hint}</p>
          <SlotMap slots={slots} members={members} />
          <Unowned of={data} />
          <Members of={data} />
        </>
      )}
      <Facts of={data} />
      <Failure of={data} />
    </section>
  );
}
