/**
 * What the centre has not settled, kept apart from the words and photos themselves: a browser that loses a whole table
 * of its database does not hide from anybody that something was in it.
 */

import type { Database } from './database.ts';

export type Numbered = [lane: number, n: number];

export interface Owing {
  /** Mutations without a final verdict. */
  numbers: Numbered[];
  /** Photos of saved words that the centre does not have, by hash. */
  photos: string[];
}

const KEY = 'owing';
const NOTHING: Owing = { numbers: [], photos: [] };
/** States of a photo of saved words that the centre does not have. */
export const OWED_STATES = ['waiting', 'failed', 'spoilt'] as const;

export function readOwing(database: Database): Promise<Owing> {
  return database.read<Owing>(KEY, NOTHING);
}

export async function isOwed(database: Database, [lane, n]: Numbered): Promise<boolean> {
  return (await readOwing(database)).numbers.some((one) => one[0] === lane && one[1] === n);
}

/** Noted inside the caller's transaction, which puts down the words or photos themselves. */
export async function owe(database: Database, more: Partial<Owing>): Promise<void> {
  const { numbers, photos } = await readOwing(database);
  const each = new Map([...numbers, ...(more.numbers ?? [])].map((one) => [String(one), one]));
  await database.keep(KEY, {
    numbers: [...each.values()],
    photos: [...new Set([...photos, ...(more.photos ?? [])])],
  });
}

/** No longer owed; inside the transaction that settles them. */
export async function paid(database: Database, less: Partial<Owing>): Promise<void> {
  if (!less.numbers?.length && !less.photos?.length) return;
  const { numbers, photos } = await readOwing(database);
  const gone = new Set([...(less.numbers ?? []).map(String), ...(less.photos ?? [])]);
  await database.keep(KEY, {
    numbers: numbers.filter((one) => !gone.has(String(one))),
    photos: photos.filter((sha256) => !gone.has(sha256)),
  });
}

/** A database of an app that noted nothing owes what lies in it. */
export async function noteOnce(database: Database): Promise<void> {
  const { meta, outbox, blobs } = database;
  await database.transaction('rw', [meta, outbox, blobs], async () => {
    if (await meta.get(KEY)) return;
    const numbers = (await outbox.toCollection().primaryKeys()) as Numbered[];
    const photos = await blobs.where('state').anyOf(OWED_STATES).primaryKeys();
    await database.keep(KEY, { numbers, photos });
  });
}
