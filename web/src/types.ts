// What the API answers, as far as the page reads it.

export type Status = "active" | "monitoring" | "archived";
export type Group = "hot" | "cold" | "archived";
export type Kind = "refresh" | "screen" | "discover";
export type Level = "healthy" | "degraded" | "critical";
export type LoadLevel = "normal" | "reduced" | "minimal";

export const GROUPS: readonly Group[] = ["hot", "cold", "archived"];
export const KINDS: readonly Kind[] = ["refresh", "screen", "discover"];

export const COMPONENTS = [
  "tx_accel",
  "vol_momentum",
  "token_freshness",
  "orderflow_imbalance",
] as const;
export type Component = (typeof COMPONENTS)[number];
export type Components = Record<Component, number | null>;

export interface Item {
  mint_address: string;
  name: string | null;
  symbol: string | null;
  status: Status;
  score: number | null;
  liquidity_usd: number | null;
  delta_p_5m: number | null;
  delta_p_15m: number | null;
  n_5m: number | null;
  primary_dex: string | null;
  fetched_at: string | null;
  scored_at: string | null;
  last_processed_at: string | null;
  solscan_url: string;
  raw_components: Components | null;
  smoothed_components: Components | null;
  created_at: string;
}

export interface TokenList {
  total: number;
  items: Item[];
  meta: { min_score: number };
}

export interface Metrics {
  L_tot: number | null;
  delta_p_5m: number | null;
  delta_p_15m: number | null;
  tx_count_5m: number | null;
  tx_count_1h: number | null;
  volume_5m: number | null;
  volume_1h: number | null;
  buys_volume_5m: number | null;
  sells_volume_5m: number | null;
  hours_since_creation: number | null;
  primary_dex: string | null;
  primary_liq_usd: number | null;
  ws_pairs: number | null;
  usdc_pairs: number | null;
  pools: number | null;
  fetched_at: string | null;
}

export interface Pool {
  address: string;
  dex: string;
  quote: string;
  solscan_url: string;
}

export interface Token {
  mint_address: string;
  name: string | null;
  symbol: string | null;
  status: Status;
  score: number | null;
  liquidity_usd: number | null;
  metrics: Metrics;
  score_history: { created_at: string; score: number | null }[];
  pools: Pool[];
  solscan_url: string;
}

export interface HistoryPoint {
  at: string;
  score: number | null;
  price_usd: number | null;
  liquidity_usd: number | null;
  volume_5m: number | null;
  components: Components | null;
}

export interface History {
  from: string;
  to: string;
  step_s: number;
  points: HistoryPoint[];
}

export interface Explanation {
  status: Status;
  status_reason: string | null;
  score: number | null;
  smoothed_score: number | null;
  components: {
    name: Component;
    raw: number | null;
    smoothed: number | null;
    weight: number;
    contribution: number | null;
    sentence: string;
  }[];
  activates: boolean;
  why_not: string[];
}

export interface LifeEvent {
  at: string;
  from: string | null;
  to: string;
  reason: string;
}

export interface GroupPulse {
  tokens: number;
  target_s: number;
  age_p50_s: number | null;
  age_p95_s: number | null;
  age_max_s: number | null;
  on_time_ratio: number | null;
  deferred: number;
}

export interface BudgetPulse {
  used_per_min: number;
  allowed_per_min: number | null;
}

export interface Pulse {
  at: string;
  status: Level;
  level: LoadLevel | null;
  paused: boolean;
  engine: { state: string; generation: number };
  groups: Record<Group, GroupPulse>;
  budgets: Record<Kind, BudgetPulse>;
  tokens: { total: number; active: number; monitoring: number; archived: number };
}

export interface Freshness {
  status: Level;
  reasons: string[];
  groups: Record<
    Group,
    {
      tokens: number;
      target_s: number;
      age_s: { p50: number | null; p95: number | null; p99: number | null; max: number | null };
      age_counts: { step_s: number; counts: number[] };
      never_refreshed: number;
      share_on_time: number | null;
      deferred: number;
      oldest_age_s: number;
      refreshes: number;
      last_refresh_at: string | null;
    }
  >;
  budgets: Record<
    Kind,
    {
      allowed_per_minute: number | null;
      configured_per_minute: number;
      learned_per_minute: number | null;
      used_last_minute: number;
      in_flight: number;
      deferred: number;
      latency_ms: number;
      addresses_per_request: number | null;
      paused_until: string | null;
    }
  >;
}

export interface Priority {
  status: Level;
  load: {
    level: LoadLevel | null;
    since: string | null;
    scale: number | null;
    deferral: string | null;
    keeps_up: boolean | null;
    why: string;
  };
  signals: Record<string, { level: string; percent: number | null; since: string | null }>;
  capacity: Record<
    Kind,
    {
      per_minute: Record<string, number | null>;
      limited_by: string;
      allowed_per_minute: number | null;
      used_last_minute: number;
      deferred: number;
    }
  >;
  features: { name: string; on: boolean; off_means: string }[];
  groups: Record<
    Group,
    { deferred: number; deferred_by_load: number; oldest_deferred_age_s: number | null }
  >;
}

export interface Job {
  runs: number;
  last_run: string | null;
  interval_seconds: number | null;
  running_since: string | null;
  overruns_in_a_row: number;
  failures_in_a_row: number;
}

export interface Scheduler {
  status: Level;
  enabled: boolean;
  paused: boolean;
  performance: {
    tokens_per_minute: number;
    total_errors_last_hour: number;
    active_jobs: number;
    stuck_jobs: number;
  };
  jobs: Record<string, Job>;
}

export interface Finding {
  level: string;
  message: string;
  component: string;
  timestamp: string;
  context: { what_to_do: string | null };
}

export interface Comprehensive {
  status: Level;
  alerts: Finding[];
  reasons: unknown[];
  components: Record<string, Level>;
}

export interface Member {
  name: string | null;
  session: number;
  is_self: boolean;
  is_leaving: boolean;
  holds_source: boolean;
  capacity_per_second: number;
  share: number | null;
  slots: number;
  renewed_seconds_ago: number | null;
  clock_offset_seconds: number | null;
}

/** Of a daemon that is alone, what follows `alone` is null, and there are no members. */
export interface Cluster {
  status: Level;
  alone: boolean | null;
  node: {
    name: string | null;
    state: string;
    since: string | null;
    holds_source: boolean;
    lease_seconds: number;
    lease_left_seconds: number;
    tokens: number;
    own_tokens: number;
  } | null;
  exchanges: {
    total: number;
    failed: number;
    answered_seconds_ago: number | null;
    failed_at: string | null;
    failure: string | null;
    lapses: number;
  } | null;
  following: { behind_seconds: number | null; writes_refused: number } | null;
  slots: {
    total: number;
    mine: number;
    catching_up: number;
    draining: number;
    releasing: number;
    free: number;
    free_seconds: number;
    /** Runs: which member (null: nobody), and how many. */
    owners: [number | null, number][];
  } | null;
  source: { member: number | null } | null;
  members: Member[];
}

export interface Signal {
  signal: string;
  what: string;
  unit: string;
  hurts: "above" | "below";
  state: string;
  since: string | null;
  value: number | null;
  threshold: number | null;
  level: number | null;
  slope_per_second: number | null;
  anomaly_score: number | null;
  seconds_to_threshold: number | null;
  confidence: number | null;
  hits: number;
  false: number;
  missed: number;
}

export interface Forecast {
  status: Level;
  signals: Signal[];
  horizon_seconds: number;
}

export interface Alert {
  cause: string;
  subject: string | null;
  component: string;
  severity: string;
  state: string;
  told: string | null;
  since: string;
  onsets: number;
  flaps: boolean;
  message: string;
  what_to_do: string;
}

export interface AlertMessage {
  id: string;
  at: string;
  kind: string;
  severity: string;
  alert_count: number;
  alerts: { cause: string; subject: string | null; severity: string; change: string }[];
  delivery: Record<string, string>;
}

export interface Alerts {
  alerts: Alert[];
  messages: AlertMessage[];
  sinks: Record<
    string,
    { enabled: boolean; delivered: number; failed: number; last_failure: string | null }
  >;
}

export interface Supervisor {
  status: Level;
  processes: {
    name: string;
    state: string;
    pid: number;
    starts: number;
    started_at: string | null;
    uptime_s: number | null;
    restarts_last_hour: number;
    heartbeats: { name: string; age_s: number | null; patience_s: number }[];
    resident_mb: number | null;
  }[];
  healing: Record<string, number>;
  quarantine: { mint_address: string }[];
}

export interface Transition {
  at: string;
  process: string;
  kind: string;
  text: string;
}

export interface Incident {
  number: number;
  at: string;
  process: string;
  pid: number;
  generation: number;
  cause: string;
  signal: string | null;
  exit_status: number | null;
  beat: string | null;
  silent_us: number;
  message: string;
  backtrace: string[];
  in_hand: unknown[];
  transitions: Transition[];
  healing: Record<string, unknown> | string | null;
  quarantined: unknown;
}

export interface SettingSchema {
  key: string;
  type: "integer" | "real" | "boolean" | "text" | "choice" | string;
  default: string;
  min: number | null;
  max: number | null;
  unit: string | null;
  sentence: string;
  section: string;
  choices?: string[];
}

export interface LogLine {
  ts: string;
  level: string;
  logger: string;
  msg: string;
  [field: string]: unknown;
}
