// Every setting: what it is, what it may be, what it was. A change takes effect at once.
import { useEffect, useState } from "preact/hooks";
import { ApiError, send } from "../api";
import { NONE } from "../format";
import { Blank, Show } from "../parts/states";
import { type Loaded, useLoaded } from "../resource";
import { readSettings } from "../settings";
import { t } from "../text";
import type { SettingSchema } from "../types";

type Values = Record<string, string>;

/** Why a value cannot be, in words; "" when it can. The daemon has the last word. */
export function problemOf(schema: SettingSchema, value: string): string {
  const text = t.value.settings;
  if (schema.type !== "number" && schema.type !== "integer") return "";
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number)) return text.notNumber;
  if (schema.type === "integer" && !Number.isInteger(number)) return text.notWhole;
  if (schema.min !== null && number < schema.min) return text.tooLow(String(schema.min));
  if (schema.max !== null && number > schema.max) return text.tooHigh(String(schema.max));
  return "";
}

function isSame(schema: SettingSchema, a: string, b: string): boolean {
  return schema.type === "text" || schema.type === "choice" || schema.type === "boolean"
    ? a === b
    : Number(a) === Number(b);
}

function sentenceOf(schema: SettingSchema): string {
  return t.value.settings.sentences[schema.key] ?? schema.sentence;
}

function unitOf(schema: SettingSchema): string {
  return schema.unit === null ? "" : (t.value.settings.units[schema.unit] ?? schema.unit);
}

interface FieldProps {
  schema: SettingSchema;
  value: string;
  isWrong: boolean;
  change: (value: string) => void;
}

function Field(props: FieldProps) {
  const { schema, value, change } = props;
  const id = `set-${schema.key}`;
  const common = {
    id,
    "aria-describedby": `${id}-help ${id}-state`,
    "aria-invalid": props.isWrong || undefined,
  };
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.choices;
  if (choices) {
    const text = t.value.settings;
    const names: Values = { true: text.yes, false: text.no };
    return (
      <select {...common} value={value} onChange={(event) => change(event.currentTarget.value)}>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {names[choice] ?? choice}
          </option>
        ))}
      </select>
    );
  }
  return (
    <input
      {...common}
      type="text"
      inputMode={schema.type === "text" ? "text" : "decimal"}
      autocomplete="off"
      spellcheck={false}
      value={value}
      onInput={(event) => change(event.currentTarget.value)}
    />
  );
}

type State = { kind: "idle" | "busy" | "saved" } | { kind: "failed"; why: string };

function Setting(props: { schema: SettingSchema; inForce: string; done: (value: string) => void }) {
  const { schema, inForce, done } = props;
  const text = t.value.settings;
  const [draft, setDraft] = useState(inForce);
  const [state, setState] = useState<State>({ kind: "idle" });
  useEffect(() => setDraft(inForce), [inForce]);

  const problem = problemOf(schema, draft);
  const isChanged = !isSame(schema, draft, inForce);
  const isDefault = isSame(schema, inForce, schema.default);
  const id = `set-${schema.key}`;

  const save = async (value: string) => {
    setState({ kind: "busy" });
    try {
      const answer = await send<{ value: string }>("PUT", `/settings/${schema.key}`, { value });
      setDraft(answer.value);
      done(answer.value);
      setState({ kind: "saved" });
    } catch (error) {
      setState({ kind: "failed", why: error instanceof ApiError ? error.message : String(error) });
    }
  };
  const change = (value: string) => {
    setDraft(value);
    setState({ kind: "idle" });
  };

  const range =
    schema.min !== null && schema.max !== null
      ? text.range(String(schema.min), String(schema.max))
      : "";
  const said =
    state.kind === "failed"
      ? state.why
      : isChanged && problem
        ? problem
        : state.kind === "saved"
          ? text.saved
          : "";
  return (
    <form
      class="setting"
      data-differs={isDefault ? undefined : ""}
      onSubmit={(event) => {
        event.preventDefault();
        if (isChanged && problem === "") save(draft);
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") change(inForce);
      }}
    >
      <div class="what">
        <label for={id}>
          <code>{schema.key}</code>
        </label>
        <p id={`${id}-help`}>{sentenceOf(schema)}</p>
      </div>
      <div class="value">
        <span class="field">
          <Field
            schema={schema}
            value={draft}
            isWrong={isChanged && problem !== ""}
            change={change}
          />
          <span class="quiet unit">{unitOf(schema)}</span>
        </span>
        <p class="quiet bounds">
          {range && `${range} · `}
          {text.default} {schema.default === "" ? NONE : schema.default}
        </p>
        <p
          id={`${id}-state`}
          role="status"
          class="said"
          data-level={state.kind === "saved" && !isChanged ? "good" : "bad"}
        >
          {said}
        </p>
      </div>
      <div class="do">
        {isChanged && (
          <>
            <button
              type="submit"
              class="primary"
              disabled={problem !== "" || state.kind === "busy"}
            >
              {text.save}
            </button>
            <button type="button" onClick={() => change(inForce)}>
              {text.discard}
            </button>
          </>
        )}
        {!isChanged && !isDefault && (
          <button type="button" class="plain" onClick={() => save(schema.default)}>
            {text.reset}
          </button>
        )}
      </div>
    </form>
  );
}

function bySection(rows: SettingSchema[]): [string, SettingSchema[]][] {
  const sections = new Map<string, SettingSchema[]>();
  for (const row of rows) sections.set(row.section, [...(sections.get(row.section) ?? []), row]);
  return [...sections];
}

/** The values in force; changed by others too, so they are asked for now and then. */
function useValues(): Loaded<Values> & { set: (key: string, value: string) => void } {
  const loaded = useLoaded<Values>("/settings/", 5);
  const [changed, setChanged] = useState<Values>({});
  useEffect(() => setChanged({}), [loaded.data]);
  const data = loaded.data ? { ...loaded.data, ...changed } : null;
  const set = (key: string, value: string) => {
    setChanged((old) => ({ ...old, [key]: value }));
    readSettings();
  };
  return { ...loaded, data, set };
}

export function Settings() {
  const schema = useLoaded<SettingSchema[]>("/settings/schema", 0);
  const values = useValues();
  const text = t.value.settings;
  const [search, setSearch] = useState("");
  const [onlyChanged, setOnlyChanged] = useState(false);
  const needle = search.trim().toLowerCase();
  const isWanted = (row: SettingSchema, value: string) =>
    (needle === "" || `${row.key} ${sentenceOf(row)}`.toLowerCase().includes(needle)) &&
    (!onlyChanged || !isSame(row, value, row.default));
  return (
    <>
      <div class="page-head">
        <h1>{t.value.pages.settings}</h1>
        <span class="quiet">{text.atOnce}</span>
      </div>
      <div class="page-tools">
        <input
          type="search"
          aria-label={text.search}
          placeholder={text.search}
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <label class="inline">
          <input
            type="checkbox"
            checked={onlyChanged}
            onChange={(event) => setOnlyChanged(event.currentTarget.checked)}
          />
          <span>{text.onlyChanged}</span>
        </label>
      </div>
      <Show of={schema}>
        {(rows) => (
          <Show of={values}>
            {(inForce) => {
              const wanted = rows.filter((row) => isWanted(row, inForce[row.key] ?? ""));
              if (wanted.length === 0) return <Blank title={text.empty} />;
              return bySection(wanted).map(([section, of]) => (
                <section key={section} class="panel settings">
                  <h2>{text.sections[section] ?? section}</h2>
                  {of.map((row) => (
                    <Setting
                      key={row.key}
                      schema={row}
                      inForce={inForce[row.key] ?? ""}
                      done={(value) => values.set(row.key, value)}
                    />
                  ))}
                </section>
              ));
            }}
          </Show>
        )}
      </Show>
    </>
  );
}
