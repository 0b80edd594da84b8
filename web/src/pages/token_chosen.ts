// What the table of tokens and those around it share.
import { signal } from "@preact/signals";

/** The mint that is chosen; "" for none. */
export const chosen = signal("");

/** The mints that are seen now, and those just before and behind. */
export const shown = signal<{ seen: string[]; near: string[] }>({ seen: [], near: [] });
