// What the table of tokens and those around it share.
import { signal } from "@preact/signals";

/** The mint that is chosen; "" for none. */
export const chosen = signal("");

/** The mints that are seen now. */
export const shown = signal<string[]>([]);
