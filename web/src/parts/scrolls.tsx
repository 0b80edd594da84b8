// A wide table that scrolls sideways by itself, by keyboard too.
import type { ComponentChildren } from "preact";

export function Scrolls(props: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must reach what scrolls
    <div class="scrolls" role="region" aria-label={props.label} tabIndex={0}>
      {props.children}
    </div>
  );
}
