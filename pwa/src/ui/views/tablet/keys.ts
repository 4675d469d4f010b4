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

/** Where an arrow key leads on a board of columns: `[column, card]`, or null when it leads nowhere. */
export function moved(at: readonly [number, number], key: string, heights: readonly number[]): [number, number] | null {
  const [column, card] = at;
  if (key === 'ArrowUp' && card > 0) return [column, card - 1];
  if (key === 'ArrowDown' && card + 1 < (heights[column] ?? 0)) return [column, card + 1];
  const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
  for (let to = column + step; step && to >= 0 && to < heights.length; to += step) {
    if (heights[to]) return [to, Math.min(card, heights[to]! - 1)];
  }
  return null;
}
