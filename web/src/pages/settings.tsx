import { t } from "../text";

export function Settings() {
  return <h1>{t.value.pages.settings}</h1>;
}
