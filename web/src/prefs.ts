// What a person chose, or else what the system says: language and theme.
import { effect, signal } from "@preact/signals";

export type Language = "en" | "ru";
export type Theme = "system" | "dark" | "light";

function kept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is blocked: it works for this visit
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // See above.
  }
}

function firstLanguage(): Language {
  const known = kept("moonwatch.language");
  if (known === "en" || known === "ru") return known;
  return navigator.language.toLowerCase().startsWith("ru") ? "ru" : "en";
}

function firstTheme(): Theme {
  const known = kept("moonwatch.theme");
  return known === "dark" || known === "light" ? known : "system";
}

export const language = signal<Language>(firstLanguage());
export const theme = signal<Theme>(firstTheme());

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(systemIsDark.matches);
systemIsDark.addEventListener("change", (event) => {
  systemDark.value = event.matches;
});

/** What the page looks like now. */
export const shownTheme = signal<"dark" | "light">("dark");

effect(() => {
  document.documentElement.lang = language.value;
  keep("moonwatch.language", language.value);
});

effect(() => {
  const shown = theme.value === "system" ? (systemDark.value ? "dark" : "light") : theme.value;
  document.documentElement.dataset.theme = shown;
  shownTheme.value = shown;
  keep("moonwatch.theme", theme.value);
});
