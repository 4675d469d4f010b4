/** The bar of acts at the foot of a screen: what floats over the screen stays above it. */

class ActionBar {
  /** Its height in px; 0 on a screen without one. */
  height = $state(0);
}

export const actionBar = new ActionBar();

/** `use:asActionBar` on the bar. */
export function asActionBar(bar: HTMLElement): { destroy(): void } {
  const measure = () => (actionBar.height = bar.offsetHeight);
  const observer = new ResizeObserver(measure);
  observer.observe(bar);
  measure();
  return {
    destroy() {
      observer.disconnect();
      actionBar.height = 0;
    },
  };
}
