// The frame around every page: navigation, state, banner; and the choice of the page.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { send } from "./api";
import { engineIsUp, link, pulse } from "./live";
import { Health } from "./pages/health";
import { Incidents } from "./pages/incidents";
import { Log } from "./pages/log";
import { Scheduler } from "./pages/scheduler";
import { Settings } from "./pages/settings";
import { TokenPage } from "./pages/token";
import { Tokens } from "./pages/tokens";
import { AskToken } from "./parts/ask_token";
import { Help, helpIsOpen } from "./parts/help";
import { Moon } from "./parts/icons";
import { Blank } from "./parts/states";
import { type Language, language, type Theme, theme } from "./prefs";
import { go, onLink, PAGES, pathOf, place } from "./router";
import { t } from "./text";

effect(() => {
  const page = place.value.page;
  document.title = page ? `${t.value.pages[page]} · Moonwatch` : "Moonwatch";
});

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  // One that was just closed keeps the focus until the next frame.
  return target.closest("input, textarea, select, dialog[open]") !== null;
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  const page = PAGES[Number(event.key) - 1];
  if (page) go(pathOf(page));
  else if (event.key === "?") helpIsOpen.value = true;
  else if (event.key === "/") {
    const field = document.querySelector<HTMLInputElement>("input[type=search]");
    if (!field) return;
    event.preventDefault();
    field.focus();
  }
}

function Banner() {
  const text = t.value.link;
  if (link.value === "lost") return <Notice level="bad" text={text.lostBanner} />;
  if (engineIsUp.value === false) return <Notice level="warn" text={text.engineBanner} />;
  if (pulse.value?.paused) {
    return (
      <Notice level="warn" text={text.pausedBanner}>
        <button type="button" onClick={() => send("POST", "/admin/resume").catch(() => {})}>
          {text.resume}
        </button>
      </Notice>
    );
  }
  return null;
}

function Notice(props: { level: string; text: string; children?: preact.ComponentChildren }) {
  return (
    <div class="banner" data-level={props.level}>
      <span>{props.text}</span>
      {props.children}
    </div>
  );
}

function levelOf(status: string | undefined): string | undefined {
  if (status === undefined) return undefined;
  return status === "healthy" ? "good" : status === "degraded" ? "warn" : "bad";
}

function State() {
  const status = pulse.value?.status;
  const lost = link.value !== "live";
  return (
    <div class="states">
      <a class="state" href={pathOf("health")} data-level={lost ? undefined : levelOf(status)}>
        <i aria-hidden="true" />
        {t.value.health[status ?? "unknown"] ?? status}
      </a>
      <span class="state" data-level={lost ? (link.value === "lost" ? "bad" : undefined) : "good"}>
        <i aria-hidden="true" />
        {t.value.link[link.value]}
      </span>
    </div>
  );
}

function Choices() {
  const text = t.value.shell;
  return (
    <div class="choices">
      <select
        aria-label={text.language}
        value={language.value}
        onChange={(event) => {
          language.value = event.currentTarget.value as Language;
        }}
      >
        <option value="en">EN</option>
        <option value="ru">RU</option>
      </select>
      <select
        aria-label={text.theme}
        value={theme.value}
        onChange={(event) => {
          theme.value = event.currentTarget.value as Theme;
        }}
      >
        {(["system", "dark", "light"] as const).map((name) => (
          <option key={name} value={name}>
            {text.themes[name]}
          </option>
        ))}
      </select>
      <button
        type="button"
        class="icon"
        aria-label={text.shortcuts}
        title={text.shortcuts}
        onClick={() => {
          helpIsOpen.value = true;
        }}
      >
        ?
      </button>
    </div>
  );
}

function Top() {
  const nav = useRef<HTMLElement>(null);
  const here = place.value.page;
  // On a phone not all of them fit.
  useEffect(() => {
    const link = nav.current?.querySelector("[aria-current]");
    link?.scrollIntoView({ inline: "center", block: "nearest" });
  }, [here]);
  return (
    <header class="top">
      <a class="brand" href={pathOf("tokens")} aria-label="Moonwatch">
        <Moon />
        <span>Moonwatch</span>
      </a>
      <nav ref={nav} class="nav" aria-label={t.value.shell.main}>
        {PAGES.map((page) => (
          <a key={page} href={pathOf(page)} aria-current={here === page ? "page" : undefined}>
            {t.value.pages[page]}
          </a>
        ))}
      </nav>
      <State />
      <Choices />
    </header>
  );
}

function Shown() {
  const { page, argument, query } = place.value;
  switch (page) {
    case "tokens":
      return argument ? <TokenPage key={argument} mint={argument} /> : <Tokens query={query} />;
    case "scheduler":
      return <Scheduler />;
    case "health":
      return <Health />;
    case "incidents":
      return <Incidents number={argument} />;
    case "settings":
      return <Settings />;
    case "log":
      return <Log />;
    case null:
      return (
        <Blank title={t.value.shell.noPage} hint={t.value.shell.noPageHint}>
          <a class="button" href={pathOf("tokens")}>
            {t.value.shell.toTokens}
          </a>
        </Blank>
      );
  }
}

export function App() {
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", onLink);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("click", onLink);
    };
  }, []);
  const { page, argument } = place.value;
  return (
    <>
      <a class="skip" href="#content">
        {t.value.shell.skip}
      </a>
      <Top />
      <div role="status" aria-live="polite" class="banners">
        <Banner />
      </div>
      <main id="content" tabIndex={-1} data-page={argument ? `${page}-one` : (page ?? "none")}>
        <Shown />
      </main>
      <AskToken />
      <Help />
    </>
  );
}
