import { t } from "../text";

export function Scheduler() {
  return <h1>{t.value.pages.scheduler}</h1>;
}
