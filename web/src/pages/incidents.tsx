import { t } from "../text";

export function Incidents() {
  return <h1>{t.value.pages.incidents}</h1>;
}
