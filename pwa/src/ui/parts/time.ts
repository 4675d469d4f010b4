/** How far a deadline is: a number of whole seconds that never shows 00:00 as overdue. */
export interface Remaining {
  overdue: boolean;
  seconds: number;
}

/** Both times in milliseconds. Remaining seconds round up, overdue seconds round down: 00:00 means "now". */
export function remaining(deadline: number, now: number): Remaining {
  const left = deadline - now;
  return left >= 0
    ? { overdue: false, seconds: Math.ceil(left / 1000) }
    : { overdue: true, seconds: Math.floor(-left / 1000) };
}

/** 75 → 01:15, 3675 → 1:01:15. Hours are not folded into days: duty rooms count hours. */
export function clockText(seconds: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}
