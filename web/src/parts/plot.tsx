// A plot over time, drawn by uPlot, in the page's colours. Its head says what it shows and the
// values under the cursor, or else the newest.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, day, NONE } from "../format";
import { language, shownTheme } from "../prefs";
import { t } from "../text";

export type Values = (number | null | undefined)[];

export interface Line {
  label: string;
  /** A custom property of the page, "--p0". */
  color: string;
  values: Values;
  shape?: "line" | "area" | "bars" | "steps" | "dashed";
}

/** A level across the plot, "--bad". */
export interface Threshold {
  value: number | null;
  color: string;
}

interface PlotProps {
  title: string;
  /** In seconds, ascending. */
  times: number[];
  lines: Line[];
  format: (value: number | null | undefined) => string;
  height?: number;
  /** What the scale has in it at least. */
  low?: number;
  high?: number;
  /** Plots of the same name share their cursor. */
  group?: string;
  thresholds?: Threshold[];
  /** Where the future begins, in seconds. */
  now?: number;
  axis?: "full" | "none";
  /** Its values are whole numbers. */
  counts?: boolean;
}

const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
  172_800, 604_800,
];
const COUNT_STEPS = [1, 2, 5].flatMap((n) => [1, 10, 100, 1e3, 1e4, 1e5, 1e6].map((by) => n * by));
COUNT_STEPS.sort((a, b) => a - b);

const LETTER_PX = 6.8; // of the axes' font, on average and more

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function faint(name: string, share: number): string {
  return (
    color(name) +
    Math.round(share * 255)
      .toString(16)
      .padStart(2, "0")
  );
}

function timeLabels(times: number[]): string[] {
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  return times.map((time) => {
    if (step >= 86_400) return day(time * 1000);
    return step >= 60 ? clock(time * 1000).slice(0, 5) : clock(time * 1000);
  });
}

function axes(props: PlotProps): uPlot.Axis[] {
  if (props.axis === "none") return [{ show: false }, { show: false }];
  const common = {
    stroke: color("--quiet"),
    font: "11px Inter, sans-serif",
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...common,
      size: 26,
      gap: 4,
      space: 70,
      incrs: TIME_STEPS,
      grid: { show: false },
      values: (_, times) => timeLabels(times),
    },
    {
      ...common,
      size: (_, labels) => 14 + LETTER_PX * Math.max(6, ...(labels ?? []).map((one) => one.length)),
      gap: 6,
      space: 32,
      ...(props.counts ? { incrs: COUNT_STEPS } : {}),
      values: (_, values) => values.map(props.format),
    },
  ];
}

function seriesOf(line: Line): uPlot.Series {
  const made: uPlot.Series = {
    label: line.label,
    stroke: color(line.color),
    width: 1.5,
    points: { show: false },
    spanGaps: false,
  };
  if (line.shape === "area") made.fill = faint(line.color, 0.12);
  if (line.shape === "dashed") made.dash = [4, 4];
  if (line.shape === "steps" && uPlot.paths.stepped) {
    made.paths = uPlot.paths.stepped({ align: 1 });
    made.fill = faint(line.color, 0.12);
  }
  if (line.shape === "bars" && uPlot.paths.bars) {
    made.paths = uPlot.paths.bars({ size: [0.7, 24] });
    made.fill = faint(line.color, 0.55);
    made.width = 0;
  }
  return made;
}

function drawLevels(plot: uPlot, props: PlotProps): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = Math.max(1, devicePixelRatio);
  ctx.setLineDash([5 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const threshold of props.thresholds ?? []) {
    if (threshold.value === null) continue;
    const y = Math.round(plot.valToPos(threshold.value, "y", true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = color(threshold.color);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  if (props.now !== undefined) {
    const x = Math.round(plot.valToPos(props.now, "x", true));
    ctx.setLineDash([]);
    ctx.strokeStyle = color("--line-strong");
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function rangeOf(props: PlotProps, low: number | null, high: number | null): [number, number] {
  const from = Math.min(low ?? 0, props.low ?? Number.POSITIVE_INFINITY);
  const to = Math.max(high ?? 1, props.high ?? Number.NEGATIVE_INFINITY);
  const space = to > from ? (to - from) * 0.08 : Math.abs(to) * 0.1 || 1;
  return [props.low !== undefined && from >= props.low ? from : from - space, to + space];
}

function optionsOf(
  latest: { current: PlotProps },
  width: number,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const props = latest.current;
  return {
    width,
    height: props.height ?? 150,
    legend: { show: false },
    padding: props.axis === "none" ? [2, 0, 2, 0] : [8, 8, 0, 0],
    cursor: {
      drag: { x: false, y: false },
      points: { size: 6 },
      y: false,
      ...(props.group ? { sync: { key: props.group } } : {}),
    },
    scales: {
      x: { time: true },
      y: { range: (_, low, high) => rangeOf(latest.current, low, high) },
    },
    axes: axes(props),
    series: [{}, ...props.lines.map(seriesOf)],
    hooks: {
      setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
      drawClear: [(plot) => drawLevels(plot, latest.current)],
    },
  };
}

function newest(values: Values): number | null {
  for (let i = values.length - 1; i >= 0; i--) {
    const value = values[i];
    if (value != null) return value;
  }
  return null;
}

function Head(props: { of: PlotProps; at: number | null }) {
  const { of, at } = props;
  const time = at === null ? undefined : of.times[at];
  const shown = of.lines.filter((line) => line.shape !== "dashed");
  const isOne = shown.length === 1;
  return (
    <figcaption>
      <h3>{of.title}</h3>
      <span class="legend">
        {time !== undefined && <time>{clock(time * 1000)}</time>}
        {shown.map((line) => (
          <span key={line.label}>
            {!isOne && <i style={{ background: `var(${line.color})` }} aria-hidden="true" />}
            {!isOne && `${line.label} `}
            <b>{of.format(at === null ? newest(line.values) : (line.values[at] ?? null))}</b>
          </span>
        ))}
      </span>
    </figcaption>
  );
}

function wordsOf(props: PlotProps): string {
  const parts = props.lines
    .filter((line) => line.shape !== "dashed")
    .map((line) => {
      const known = line.values.filter((value): value is number => value != null);
      if (known.length === 0) return `${line.label}: ${NONE}`;
      const low = props.format(known.reduce((a, b) => Math.min(a, b)));
      const high = props.format(known.reduce((a, b) => Math.max(a, b)));
      return `${line.label}: ${props.format(newest(line.values))} (${low} … ${high})`;
    });
  return `${props.title}. ${parts.join("; ")}`;
}

export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState<number | null>(null);
  const look = shownTheme.value + language.value;
  const shape = props.lines.map((line) => line.label + line.color + line.shape).join();

  // Colours, words and kinds of lines are options of a plot: when they change it is another one.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const data = [props.times, ...props.lines.map((line) => line.values)] as uPlot.AlignedData;
    const made = new uPlot(optionsOf(latest, element.clientWidth || 300, setAt), data, element);
    plot.current = made;
    const sizes = new ResizeObserver(() => {
      if (element.clientWidth > 0)
        made.setSize({ width: element.clientWidth, height: props.height ?? 150 });
    });
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [look, shape, props.height]);

  useEffect(() => {
    const data = [props.times, ...props.lines.map((line) => line.values)] as uPlot.AlignedData;
    plot.current?.setData(data);
  });

  return (
    <figure class="plot">
      <Head of={props} at={at} />
      <div ref={box} class="canvas" role="img" aria-label={wordsOf(props)} />
      {props.times.length === 0 && <p class="none quiet">{t.value.token.noHistory}</p>}
    </figure>
  );
}
