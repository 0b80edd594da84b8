// Tokens by age, in tenths of the target; what is beyond the target is late.
import { duration, whole } from "../format";
import { t } from "../text";

const TARGET_STEP = 10;

export function Histogram(props: { label: string; counts: number[]; stepS: number }) {
  const most = Math.max(1, ...props.counts);
  const late = props.counts.slice(TARGET_STEP).reduce((a, b) => a + b, 0);
  const all = props.counts.reduce((a, b) => a + b, 0);
  const words = `${props.label}: ${whole(all - late)} ≤ ${duration(props.stepS * TARGET_STEP)}, ${whole(late)} >`;
  return (
    <div class="histogram" role="img" aria-label={words}>
      <div class="bars-up">
        {props.counts.map((count, i) => (
          <i
            // always the same steps
            key={`${i}`}
            data-late={i >= TARGET_STEP + 1 ? "very" : i === TARGET_STEP ? "just" : undefined}
            title={`${stepName(i, props.counts.length, props.stepS)}: ${whole(count)}`}
          >
            <u style={{ "--v": count === 0 ? 0 : Math.max(0.015, count / most) }} />
          </i>
        ))}
      </div>
      <div class="scale" aria-hidden="true">
        <span>0</span>
        <span class="target">{duration(props.stepS * TARGET_STEP)}</span>
        <span>{t.value.scheduler.later}</span>
      </div>
    </div>
  );
}

function stepName(i: number, steps: number, stepS: number): string {
  if (i === steps - 1) return `> ${duration(stepS * i, 1)}`;
  return `${duration(stepS * i, 1)} … ${duration(stepS * (i + 1), 1)}`;
}
