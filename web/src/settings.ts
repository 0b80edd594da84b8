// Settings that other pages need to know.
import { effect, signal } from "@preact/signals";
import { get } from "./api";
import { epoch } from "./live";

/** The score from which a token is promising. */
export const minScore = signal(0.1);

export async function readSettings(): Promise<void> {
  try {
    const value = await get<{ value: string }>("/settings/min_score");
    minScore.value = Number(value.value);
  } catch {
    // What was known stays; the pages that show settings say what is wrong.
  }
}

effect(() => {
  epoch.value;
  readSettings();
});
