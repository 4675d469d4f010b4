/** Single-key shortcuts of the duty room, and the arrow keys on the board. Pure. */

export const SHORTCUTS = { b: [], d: ['shift'], r: ['register'], c: ['conflicts'], u: ['unsent'], m: ['me'] } as const;
export type Shortcut = keyof typeof SHORTCUTS;

export interface Pressed {
  key: string;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  isComposing: boolean;
}

/** The shortcut that was meant; never while somebody types or an input method composes. */
export function shortcutOf(pressed: Pressed, typing: boolean): Shortcut | 'help' | null {
  if (typing || pressed.isComposing || pressed.ctrlKey || pressed.altKey || pressed.metaKey) return null;
  if (pressed.key === '?' || pressed.key === '\uff1f') return 'help';
  const key = pressed.key.toLowerCase();
  return key in SHORTCUTS ? (key as Shortcut) : null;
}

/** Nothing that takes keys has the focus: the page as a whole, or the title where a new screen begins. */
export function isIdle(focused: { matches(selectors: string): boolean } | null): boolean {
  return !focused || focused.matches('body, main, h1');
}

/**
 * Where an arrow key leads on a board of columns: `[column, card]`, or null when it leads nowhere. From no card at
 * all, to the first one.
 */
export function moved(
  at: readonly [number, number] | null,
  key: string,
  heights: readonly number[],
): [number, number] | null {
  if (!at) {
    const first = /^Arrow(Up|Down|Left|Right)$/.test(key) ? heights.findIndex((height) => height > 0) : -1;
    return first < 0 ? null : [first, 0];
  }
  const [column, card] = at;
  if (key === 'ArrowUp' && card > 0) return [column, card - 1];
  if (key === 'ArrowDown' && card + 1 < (heights[column] ?? 0)) return [column, card + 1];
  const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
  for (let to = column + step; step && to >= 0 && to < heights.length; to += step) {
    if (heights[to]) return [to, Math.min(card, heights[to]! - 1)];
  }
  return null;
}
