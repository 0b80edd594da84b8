import { t } from "../text";

export function Health() {
  return <h1>{t.value.pages.health}</h1>;
}
