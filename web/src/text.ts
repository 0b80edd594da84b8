// The words of the page. `Text` is what both tables must have; the compiler sees to it.
import { computed } from "@preact/signals";
import { language } from "./prefs";
import { en } from "./text_en";
import { ru } from "./text_ru";

export type Text = typeof en;

export const t = computed<Text>(() => (language.value === "ru" ? ru : en));
