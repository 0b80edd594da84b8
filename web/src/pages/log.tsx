import { t } from "../text";

export function Log() {
  return <h1>{t.value.pages.log}</h1>;
}
