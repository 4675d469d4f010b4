/** Unfinished forms, kept for this tab until they are saved: a killed tab loses no word. */

const PREFIX = 'lingda.draft.';

/** The part of `sessionStorage` that drafts need. */
export type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** The draft called `name` over `empty`; what it lacks or cannot be read is taken from there. */
export function readDraft<T extends object>(name: string, empty: T, shelf: Shelf = sessionStorage): T {
  try {
    const found: unknown = JSON.parse(shelf.getItem(PREFIX + name) ?? '{}');
    return typeof found === 'object' && found !== null ? { ...empty, ...found } : empty;
  } catch {
    return empty;
  }
}

/** Keeps the draft. False when the browser has no room: the form goes on, in memory alone. */
export function keepDraft(name: string, draft: object, shelf: Shelf = sessionStorage): boolean {
  try {
    shelf.setItem(PREFIX + name, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

/** Only after the fact is on disk. */
export function dropDraft(name: string, shelf: Shelf = sessionStorage): void {
  try {
    shelf.removeItem(PREFIX + name);
  } catch {
    // What cannot be kept cannot be dropped either.
  }
}
