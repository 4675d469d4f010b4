/** Unfinished forms: on disk after every change, in memory from the start: a tab that is killed loses nothing. */

import type { Database } from './database.ts';
import type { Guard } from './guard.ts';

export const DRAFT_PREFIX = 'draft/';
const AFTER_PREFIX = 'draft0';

export class DraftShelf {
  private readonly guard: Guard;
  private values = new Map<string, unknown>();

  constructor(guard: Guard) {
    this.guard = guard;
  }

  /** What lies on disk is in memory. */
  async load(): Promise<void> {
    this.values = new Map(await this.guard.run(draftsOf));
  }

  async reload(name: string): Promise<void> {
    this.hold(name, await this.guard.run((database) => database.read<unknown>(DRAFT_PREFIX + name, null)));
  }

  /** A copy, which may be changed freely; null when there is none. */
  get<T>(name: string): T | null {
    const value = this.values.get(name);
    return value === undefined ? null : (structuredClone(value) as T);
  }

  /** In memory, but not on disk; null forgets it. The plain copy that is to be put down. */
  hold(name: string, value: unknown): unknown {
    const copy: unknown = JSON.parse(JSON.stringify(value ?? null));
    if (copy === null) this.values.delete(name);
    else this.values.set(name, copy);
    return copy;
  }

  async put(name: string, value: unknown): Promise<void> {
    await this.guard.run(async (database) => {
      if (value === null) await database.meta.delete(DRAFT_PREFIX + name);
      else await database.meta.put({ key: DRAFT_PREFIX + name, value });
    });
  }
}

/** `[name, value]` of every draft. */
export async function draftsOf(database: Database): Promise<[string, unknown][]> {
  const records = await database.meta.where('key').between(DRAFT_PREFIX, AFTER_PREFIX, true, false).toArray();
  return records.map(({ key, value }) => [key.slice(DRAFT_PREFIX.length), value]);
}

/** The hashes of all photos in a value, in `photos` lists however deep. */
export function photosIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(photosIn);
  const own = 'photos' in value && Array.isArray(value.photos) ? (value.photos as unknown[]) : [];
  const named = own.map((photo) => (photo as { sha256?: unknown } | null)?.sha256);
  return [...named.filter((sha256) => typeof sha256 === 'string'), ...Object.values(value).flatMap(photosIn)];
}
