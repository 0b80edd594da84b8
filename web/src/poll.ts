// Stands in for GET /events where the daemon has none: makes pulses of what it asks for.
import { get } from "./api";
import type { Freshness, Group, Kind, Level, LoadLevel, Pulse } from "./types";

interface SupervisorAnswer {
  status: Level;
  paused: boolean;
  processes: { name: string; state: string; starts: number }[];
}

async function countOf(status: string): Promise<number> {
  const list = await get<{ total: number }>(`/tokens?limit=1&min_score=-1000&statuses=${status}`);
  return list.total;
}

export async function pollPulse(): Promise<Pulse> {
  const [fresh, watcher, active, monitoring, archived, priority] = await Promise.all([
    get<Freshness>("/health/freshness"),
    get<SupervisorAnswer>("/health/supervisor"),
    countOf("active"),
    countOf("monitoring"),
    countOf("archived"),
    get<{ load: { level: LoadLevel | null } }>("/health/priority"),
  ]);
  const groups = Object.fromEntries(
    Object.entries(fresh.groups).map(([name, group]) => [
      name,
      {
        tokens: group.tokens,
        target_s: group.target_s,
        age_p50_s: group.age_s.p50,
        age_p95_s: group.age_s.p95,
        age_max_s: group.age_s.max,
        on_time_ratio: group.share_on_time,
        deferred: group.deferred,
      },
    ]),
  ) as Record<Group, Pulse["groups"][Group]>;
  const budgets = Object.fromEntries(
    Object.entries(fresh.budgets).map(([name, budget]) => [
      name,
      { used_per_min: budget.used_last_minute, allowed_per_min: budget.allowed_per_minute },
    ]),
  ) as Record<Kind, Pulse["budgets"][Kind]>;
  const engine = watcher.processes.find((process) => process.name === "engine");
  return {
    at: new Date().toISOString(),
    status: fresh.status,
    level: priority.load.level,
    paused: watcher.paused,
    engine: { state: engine?.state ?? "unknown", generation: engine?.starts ?? 0 },
    groups,
    budgets,
    tokens: { total: active + monitoring + archived, active, monitoring, archived },
  };
}
