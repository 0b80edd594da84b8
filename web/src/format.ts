// Numbers and times for people. Unknown is "–".
import { language } from "./prefs";
import { t } from "./text";

export const NONE = "–";

const wholes = {
  en: new Intl.NumberFormat("en", { maximumFractionDigits: 0 }),
  ru: new Intl.NumberFormat("ru", { maximumFractionDigits: 0 }),
};

function decimal(text: string): string {
  return language.value === "ru" ? text.replace(".", ",") : text;
}

export function fixed(value: number | null | undefined, digits: number): string {
  if (value == null || !Number.isFinite(value)) return NONE;
  return decimal(value.toFixed(digits)).replace("-", "−");
}

export function whole(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? NONE : wholes[language.value].format(value);
}

/** At most three digits and a suffix: 950, 1.2k, 13.4M. */
export function short(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  const steps: [number, string][] = [
    [1e9, t.value.units.billion],
    [1e6, t.value.units.million],
    [1e3, t.value.units.thousand],
  ];
  for (const [step, suffix] of steps) {
    if (size >= step) return fixed(value / step, size / step >= 100 ? 0 : 1) + suffix;
  }
  return fixed(value, size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : 2);
}

export function money(value: number | null | undefined): string {
  return value == null ? NONE : `$${short(value)}`;
}

/** Small prices as traders write them: $0.0₅4108. */
export function price(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return NONE;
  if (value === 0) return "$0";
  if (value >= 1000) return `$${whole(value)}`;
  if (value >= 0.01) return `$${decimal(value.toPrecision(4))}`;
  const zeros = -Math.floor(Math.log10(value)) - 1;
  const digits = String(Math.round(value * 10 ** (zeros + 4)));
  if (zeros < 4) return `$${decimal(`0.${"0".repeat(zeros)}${digits}`)}`;
  const low = [...String(zeros)].map((d) => "₀₁₂₃₄₅₆₇₈₉"[Number(d)]).join("");
  return `$${decimal("0.")}0${low}${digits}`;
}

/** A change: +1.2 %. */
export function change(fraction: number | null | undefined): string {
  if (fraction == null || !Number.isFinite(fraction)) return NONE;
  const digits = Math.abs(fraction) >= 1 ? 0 : 1;
  const value = Number((fraction * 100).toFixed(digits));
  const text = decimal(Math.abs(value).toFixed(digits));
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${text} %`;
}

/** A share: 98.2 %. */
export function share(fraction: number | null | undefined, digits = 1): string {
  return fraction == null ? NONE : `${fixed(fraction * 100, digits)} %`;
}

export function percent(value: number | null | undefined, digits = 0): string {
  return value == null ? NONE : `${fixed(value, digits)} %`;
}

/** A duration: 7 s, 4 min, 3 h, 12 d. */
export function duration(seconds: number | null | undefined, digits = 0): string {
  if (seconds == null || !Number.isFinite(seconds)) return NONE;
  const u = t.value.units;
  if (seconds < 1 && seconds > 0) {
    return `${fixed(seconds * 1000, seconds < 0.01 ? 1 : 0)} ${u.millisecond}`;
  }
  if (seconds < 100) return `${fixed(seconds, seconds < 10 ? digits : 0)} ${u.second}`;
  if (seconds < 5400) return `${fixed(seconds / 60, 0)} ${u.minute}`;
  if (seconds < 172_800) return `${fixed(seconds / 3600, seconds < 36_000 ? 1 : 0)} ${u.hour}`;
  return `${fixed(seconds / 86_400, 0)} ${u.day}`;
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return NONE;
  const u = t.value.units;
  if (value >= 1e9) return `${fixed(value / 1e9, 1)} ${u.gigabyte}`;
  if (value >= 1e6) return `${fixed(value / 1e6, 1)} ${u.megabyte}`;
  return `${fixed(value / 1e3, 0)} ${u.kilobyte}`;
}

export function clock(at: string | number | null | undefined): string {
  if (at == null) return NONE;
  return new Date(at).toLocaleTimeString("ru", { hour12: false });
}

export function day(at: string | number | null | undefined): string {
  if (at == null) return NONE;
  return new Date(at).toLocaleDateString(language.value, { day: "numeric", month: "short" });
}

/** With the day when it is not today. */
export function moment(at: string | number | null | undefined): string {
  if (at == null) return NONE;
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock(at) : `${day(at)}, ${clock(at)}`;
}

/** A sentence of the daemon's, with the times in it as people read them. */
export function sentence(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g, (time) => moment(time));
}

export function shortMint(mint: string): string {
  return mint.length > 12 ? `${mint.slice(0, 4)}…${mint.slice(-4)}` : mint;
}

/** How many bidirectional controls and lines a stranger's name has must not matter: one line. */
export function nameOf(token: { symbol: string | null; mint_address: string }): string {
  return token.symbol || shortMint(token.mint_address);
}
