/** How long to wait before the next try. */

const FIRST_MS = 1_000;
export const BACKOFF_MS_MAX = 60_000;

/** Twice as long after each failure, up to a minute, spread by `chance` over half to all of it. */
export function backoffMs(failures: number, chance: number): number {
  const full = Math.min(BACKOFF_MS_MAX, FIRST_MS * 2 ** Math.min(failures, 10));
  return Math.floor(full / 2 + (full / 2) * chance);
}
