// The log of all processes: the last lines, and each new one as it is written.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, send } from "../api";
import { clock, day } from "../format";
import { epoch, on } from "../live";
import { Blank, Failed, Loading } from "../parts/states";
import { useLoaded } from "../resource";
import { t } from "../text";
import type { LogLine } from "../types";

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"] as const;
const LINES_MAX = 1000; // more than a person reads; the daemon keeps more
const TYPING_MS = 300;
const FIXED = new Set(["ts", "level", "logger", "msg", "process", "id"]);

interface Filter {
  levels: readonly string[];
  logger: string;
  contains: string;
}

function addressOf(filter: Filter): string {
  const query = new URLSearchParams({ limit: "500" });
  if (filter.levels.length < LEVELS.length) query.set("levels", filter.levels.join(","));
  if (filter.logger) query.set("loggers", filter.logger);
  if (filter.contains) query.set("contains", filter.contains);
  return `/logs/?${query}`;
}

/** The same question that the daemon answers for older lines. */
function isWanted(line: LogLine, filter: Filter): boolean {
  return (
    filter.levels.includes(line.level) &&
    (filter.logger === "" || line.logger === filter.logger) &&
    (filter.contains === "" ||
      JSON.stringify(line).toLowerCase().includes(filter.contains.toLowerCase()))
  );
}

function useLines(filter: Filter) {
  const [lines, setLines] = useState<LogLine[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [asked, setAsked] = useState(0);
  const address = addressOf(filter);
  const missed = epoch.value;

  // The filter is in the address; `missed` and `asked` say that the lines are to be read again.
  useEffect(() => {
    const request = new AbortController();
    const early: LogLine[] = [];
    let isRead = false;
    const stop = on("log", (line) => {
      if (!isWanted(line, filter)) return;
      if (!isRead) early.push(line);
      else setLines((old) => [...(old ?? []).slice(1 - LINES_MAX), line]);
    });
    get<LogLine[]>(address, request.signal)
      .then((read) => {
        const last = read.at(-1)?.ts ?? "";
        isRead = true;
        setLines([...read, ...early.filter((line) => line.ts > last)]);
        setError(null);
      })
      .catch((problem: unknown) => {
        if (request.signal.aborted) return;
        setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem)));
      });
    return () => {
      stop();
      request.abort();
    };
  }, [address, missed, asked]);

  return { lines, error, reload: () => setAsked((count) => count + 1) };
}

function levelOf(level: string): string | undefined {
  return level === "ERROR" || level === "CRITICAL"
    ? "bad"
    : level === "WARNING"
      ? "warn"
      : undefined;
}

function valueText(value: unknown): string {
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Line(props: { of: LogLine }) {
  const { of } = props;
  const fields = Object.entries(of).filter(([name]) => !FIXED.has(name));
  return (
    <li data-level={levelOf(of.level)}>
      <time dateTime={of.ts} title={`${day(of.ts)} ${of.ts}`}>
        {clock(of.ts)}
      </time>
      <span class="level">{of.level.toLowerCase()}</span>
      <span class="logger">{of.logger}</span>
      <span class="msg" dir="auto">
        {of.msg}
        {fields.map(([name, value]) => (
          <span key={name} class="field">
            <i>{name}=</i>
            {valueText(value)}
          </span>
        ))}
      </span>
    </li>
  );
}

function Lines(props: { lines: LogLine[]; follows: boolean; setFollows: (on: boolean) => void }) {
  const box = useRef<HTMLOListElement>(null);
  useLayoutEffect(() => {
    if (props.follows && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 24;
    if (isAtEnd !== props.follows) props.setFollows(isAtEnd);
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
    <ol ref={box} class="lines" tabIndex={0} aria-label={t.value.log.label} onScroll={onScroll}>
      {props.lines.map((line, i) => (
        <Line key={`${line.ts}${i}`} of={line} />
      ))}
    </ol>
  );
}

function Clear(props: { done: () => void }) {
  const text = t.value.log;
  const [isSure, setSure] = useState(false);
  const [problem, setProblem] = useState("");
  const press = async () => {
    setProblem("");
    if (!isSure) {
      setSure(true);
      return;
    }
    setSure(false);
    try {
      await send("DELETE", "/logs/");
      props.done();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      {problem && (
        <span role="alert" data-level="bad">
          {problem}
        </span>
      )}
      <button type="button" onClick={press} onBlur={() => setSure(false)}>
        {isSure ? text.clearSure : text.clear}
      </button>
    </>
  );
}

export function Log() {
  const text = t.value.log;
  const [levels, setLevels] = useState<readonly string[]>(["INFO", "WARNING", "ERROR"]);
  const [logger, setLogger] = useState("");
  const [typed, setTyped] = useState("");
  const [contains, setContains] = useState("");
  const [follows, setFollows] = useState(true);
  useEffect(() => {
    const timer = setTimeout(() => setContains(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const meta = useLoaded<{ loggers: string[] }>("/logs/meta", 15);
  const { lines, error, reload } = useLines({ levels, logger, contains });
  const toggle = (level: string) =>
    setLevels((old) =>
      LEVELS.filter((name) => (name === level ? !old.includes(name) : old.includes(name))),
    );
  return (
    <div class="log">
      <div class="page-head">
        <h1>{t.value.pages.log}</h1>
        {lines && <span class="quiet">{text.lines(lines.length)}</span>}
        <Clear done={reload} />
      </div>
      <div class="page-tools">
        <div class="tabs" role="group" aria-label={text.levels}>
          {LEVELS.map((level) => (
            <button
              key={level}
              type="button"
              aria-pressed={levels.includes(level)}
              onClick={() => toggle(level)}
            >
              {level.toLowerCase()}
            </button>
          ))}
        </div>
        <select
          aria-label={text.logger}
          value={logger}
          onChange={(event) => setLogger(event.currentTarget.value)}
        >
          <option value="">{text.allLoggers}</option>
          {meta.data?.loggers.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <input
          type="search"
          aria-label={text.contains}
          placeholder={text.contains}
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <label class="inline">
          <input
            type="checkbox"
            checked={follows}
            onChange={(event) => setFollows(event.currentTarget.checked)}
          />
          <span>{text.follow}</span>
        </label>
      </div>
      {lines === null ? (
        error ? (
          <Failed why={error.message} again={reload} />
        ) : (
          <Loading />
        )
      ) : lines.length === 0 ? (
        <Blank title={text.empty} hint={text.emptyHint} />
      ) : (
        <Lines lines={lines} follows={follows} setFollows={setFollows} />
      )}
    </div>
  );
}
