/** Counts how long something is held. Pure but for the frame clock, which comes in. */
export interface Hold {
  start(): void;
  cancel(): void;
}

/** Fires `done` once after `ms` of holding; `progress` runs 0…1 meanwhile and goes back to 0 at the end or on cancel. */
export function holding(
  ms: number,
  progress: (share: number) => void,
  done: () => void,
  frame: (step: (now: number) => void) => number = requestAnimationFrame,
  drop: (handle: number) => void = cancelAnimationFrame,
): Hold {
  let handle: number | null = null;
  let began: number | null = null;

  const stop = () => {
    if (handle !== null) drop(handle);
    handle = began = null;
    progress(0);
  };
  const step = (now: number) => {
    began ??= now;
    const share = Math.min(1, (now - began) / ms);
    if (share < 1) {
      progress(share);
      handle = frame(step);
      return;
    }
    stop();
    done();
  };
  return {
    start: () => {
      if (handle === null) handle = frame(step);
    },
    cancel: () => {
      if (handle !== null) stop();
    },
  };
}
