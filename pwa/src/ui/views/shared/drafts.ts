/** Unfinished forms, kept with the device's own data until they are saved: a killed app loses no word. */

const PREFIX = 'lingda.draft.';

/** The part of the device that keeps drafts. */
export interface Keeper {
  keepDraft(name: string, value: unknown): Promise<void>;
  draft<T>(name: string): T | null;
  dropDraft(name: string): Promise<void>;
}

/** The part of `sessionStorage` that stands in for a disk that fails. */
export type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** The draft called `name` over `empty`; what it lacks or cannot be read is taken from there. */
export function readDraft<T extends object>(keeper: Keeper, name: string, empty: T, shelf: Shelf = sessionStorage): T {
  // On the shelf only while the disk failed: then it is the newer one.
  const found = spareOf(name, shelf) ?? keeper.draft<Partial<T>>(name);
  return typeof found === 'object' && found !== null ? { ...empty, ...found } : empty;
}

/** True when there is a draft of this name. */
export function hasDraft(keeper: Keeper, name: string, shelf: Shelf = sessionStorage): boolean {
  return spareOf(name, shelf) !== null || keeper.draft(name) !== null;
}

/** Keeps the draft. False when neither disk nor browser has room: the form goes on, in memory alone. */
export async function keepDraft(
  keeper: Keeper,
  name: string,
  draft: object,
  shelf: Shelf = sessionStorage,
): Promise<boolean> {
  try {
    await keeper.keepDraft(name, draft);
    clear(name, shelf);
    return true;
  } catch {
    return putAside(name, draft, shelf);
  }
}

/** Only after the fact is on disk, or when the person gave it up. */
export async function dropDraft(keeper: Keeper, name: string, shelf: Shelf = sessionStorage): Promise<void> {
  clear(name, shelf);
  // What cannot be kept cannot be dropped either.
  await keeper.dropDraft(name).catch(() => undefined);
}

function spareOf(name: string, shelf: Shelf): object | null {
  try {
    const found: unknown = JSON.parse(shelf.getItem(PREFIX + name) ?? 'null');
    return typeof found === 'object' ? found : null;
  } catch {
    return null;
  }
}

function putAside(name: string, draft: object, shelf: Shelf): boolean {
  try {
    shelf.setItem(PREFIX + name, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

function clear(name: string, shelf: Shelf): void {
  try {
    shelf.removeItem(PREFIX + name);
  } catch {
    // A browser that keeps nothing has nothing to clear.
  }
}
