// What GET /health/cluster answers of several nodes, without any: for the panel that shows it.

const SLOTS = 1024;

function memberOf({ name, slots, capacity, ...more }, index, all) {
  const sum = all.reduce((total, one) => total + one.capacity, 0);
  return {
    name,
    session: 3 + 5 * index,
    is_self: more.isSelf ?? false,
    is_leaving: more.isLeaving ?? false,
    holds_source: more.source ?? false,
    capacity_per_second: capacity,
    share: sum > 0 ? capacity / sum : null,
    slots,
    renewed_seconds_ago: more.renewed ?? 0,
    clock_offset_seconds: more.clock ?? null,
  };
}

/** Every node's slots in a row, what is left is nobody's; `state` is this node's. */
export function clusterOf(nodes, { state = "working" } = {}) {
  const now = Date.now();
  const source = nodes.findIndex((node) => node.source);
  const runs = nodes.map(({ slots }, index) => [index, slots]);
  const free = SLOTS - nodes.reduce((sum, { slots }) => sum + slots, 0);
  const mine = nodes.find(({ isSelf }) => isSelf)?.slots ?? 0;
  if (free > 0) runs.push([null, free]);
  return {
    status: "healthy",
    alerts: [],
    alone: false,
    how_to_join: null,
    node: {
      name: nodes.find(({ isSelf }) => isSelf)?.name ?? "paris",
      session: 8,
      state,
      since: new Date(now - 3_600_000).toISOString(),
      looked_at: new Date(now).toISOString(),
      holds_source: nodes[source]?.isSelf ?? false,
      lease_seconds: 10,
      lease_left_seconds: state === "working" ? 7.3 : 0,
      tokens: 20_412,
      own_tokens: 6_139,
    },
    exchanges: {
      total: 7210,
      failed: 3,
      answered_seconds_ago: 0.2,
      failed_at: new Date(now - 600_000).toISOString(),
      failure: "the server closed the connection",
      lapses: 1,
      sessions: 2,
      sessions_ended: 1,
      claimed: 320,
      released: 12,
      lost: 0,
    },
    following: {
      rounds: 7200,
      behind_seconds: 0.4,
      followed: 91_234,
      ignored: 0,
      writes_refused: 2,
      orders_forwarded: 5,
      orders_done: 9,
    },
    slots: {
      total: SLOTS,
      mine,
      catching_up: 0,
      draining: 0,
      releasing: 0,
      others: SLOTS - free - mine,
      free,
      unowned: 0,
      free_seconds: free > 0 ? 2.5 : 0,
      owners: runs,
    },
    source: { member: source < 0 ? null : source, free_seconds: 0 },
    members: nodes.map(memberOf),
    last_check: new Date(now).toISOString(),
  };
}

/** `page` is told that, as it is at each request. */
export async function serveCluster(page, cluster) {
  await page.route("**/health/cluster", (route) => route.fulfill({ json: cluster }));
}
