/** Own mutations on their way: back into the outbox, or replaced by a void where the words are lost. */

import { hashOf } from '../core/mutation.ts';
import type { Mutation } from '../core/contract.ts';
import { NO_TIP, type Tip } from '../core/outbox.ts';
import { voidOf, type Author, type Lost } from '../core/replica.ts';
import type { Stamp } from '../core/stamp.ts';
import type { Database, OutboxRecord, RefusedRecord, SavedRecord } from './database.ts';
import { isOwed, owe, type Numbered } from './owing.ts';

export const tipKey = (lane: number): string => `tip/${lane}`;

const HASH = /^[0-9a-f]{64}$/;

/** Only what every shelf keeps of a mutation. */
export function plain({ lane, n, raw, hash, ticket, at, photos }: SavedRecord): SavedRecord {
  return { lane, n, raw, hash, ticket, at, photos };
}

/** The centre has lost them: they go again, and the photos that they name go again after them. */
export async function offerAgain(database: Database, records: readonly SavedRecord[]): Promise<void> {
  const { outbox, awaiting, sent, refused, blobs } = database;
  const numbers = records.map(({ lane, n }): Numbered => [lane, n]);
  for (const shelf of [awaiting, sent, refused]) await shelf.bulkDelete(numbers);
  await outbox.bulkPut(records.map((record) => ({ ...plain(record), held: null, again: true })));
  const named = records.flatMap(({ photos }) => photos ?? []);
  const here = blobs.where('sha256').anyOf(named);
  const photos = await here.filter(({ state }) => state === 'sent').primaryKeys();
  await offerPhotos(database, photos);
  await owe(database, { numbers });
}

/** Photos that the centre had go to it again. */
export async function offerPhotos(database: Database, photos: string[]): Promise<void> {
  await database.blobs.where('sha256').anyOf(photos).modify({ state: 'waiting', upload: null });
  await owe(database, { photos });
}

/**
 * A void takes the number of lost words, inside the caller's transaction. False where nobody is enrolled. What follows
 * names the hash of the lost words, or where nobody knows it that of the void.
 */
export async function putVoid(database: Database, lost: Lost, nowMs: number): Promise<boolean> {
  const author = await database.read<Author | null>('identity', null);
  if (!author) return false;
  const last = await stampOf(database, author.replica);
  const { saved, stamp } = voidOf(author, lost, last, nowMs);
  const { lane, n, raw, hash } = saved;
  await database.outbox.put({ lane, n, raw, hash, ticket: `void/${lane}/${n}`, at: nowMs, photos: [], held: null });
  await owe(database, { numbers: [[lane, n]] });
  await database.keep('stamp', stamp);
  const tip = await database.read<Tip>(tipKey(lane), NO_TIP);
  if (tip.n === n && lost.hash === null) await database.keep(tipKey(lane), { n, hash });
  return true;
}

/** The stamp of the newest mutation made here; before the first, one below all. */
export function stampOf(database: Database, replica: string): Promise<Stamp> {
  return database.read<Stamp>('stamp', { wallMs: 0, counter: 0, replica });
}

/** True when the text gives its hash, and is the mutation of its number. */
export function isIntact({ lane, n, raw, hash }: Pick<SavedRecord, 'lane' | 'n' | 'raw' | 'hash'>): boolean {
  if (typeof raw !== 'string' || hashOf(raw) !== hash) return false;
  const mutation = parsed(raw);
  return mutation !== null && mutation.lane === lane && mutation.n === n && Array.isArray(mutation.changes);
}

function parsed(raw: string): Mutation | null {
  try {
    return JSON.parse(raw) as Mutation | null;
  } catch {
    return null;
  }
}

export interface Suspects {
  outbox: readonly OutboxRecord[];
  refused: readonly RefusedRecord[];
  /** Numbers that are owed, and of which nothing lies in the outbox. */
  lost: readonly Numbered[];
  /** What this tab still has in memory, refused words or not. */
  remembered: readonly SavedRecord[];
  nowMs: number;
}

/**
 * What the disk spoilt or lost is mended from memory, or noted to be shown with whatever is left of it; a void takes
 * the number of what was not sent. Nothing of it is ever deleted here.
 */
export async function setAside(database: Database, suspects: Suspects): Promise<void> {
  const { outbox, refused, damaged, meta } = database;
  await database.transaction('rw', [outbox, refused, damaged, meta], async () => {
    for (const { lane, n } of suspects.refused) {
      const record = await refused.get([lane, n]);
      if (!record || isIntact(record)) continue;
      await damaged.add({ lane, n, found: suspects.nowMs, refused: true, record });
      await refused.delete([lane, n]);
    }
    for (const { lane, n } of suspects.outbox) {
      const record = await outbox.get([lane, n]);
      if (record && !isIntact(record)) await replace(database, record, suspects);
    }
    for (const number of suspects.lost) {
      // Another tab may have settled it since this one looked.
      if ((await outbox.get(number)) || !(await isOwed(database, number))) continue;
      const known = suspects.remembered.find(({ lane, n }) => lane === number[0] && n === number[1]);
      if (known) await outbox.put({ ...plain(known), held: null });
      else await giveUp(database, number, suspects.nowMs);
    }
  });
}

/** Nothing is left of words that were never settled: a void takes their number, and a person is told. */
export async function giveUp(database: Database, [lane, n]: Numbered, nowMs: number): Promise<void> {
  if (!(await putVoid(database, { lane, n, hash: null, reason: 'missing' }, nowMs))) return;
  await database.damaged.add({ lane, n, found: nowMs, refused: false, record: null });
}

async function replace(database: Database, record: OutboxRecord, { remembered, nowMs }: Suspects): Promise<void> {
  const { outbox, damaged } = database;
  const { lane, n } = record;
  const mended = { ...record, raw: remembered.find(({ hash }) => hash === record.hash)?.raw ?? record.raw };
  if (isIntact(mended)) {
    await outbox.put(mended);
    return;
  }
  // The number may have been lost before: what follows it names the first hash that it had.
  const first = (await damaged.where('[lane+n]').equals([lane, n]).first())?.record ?? record;
  const { hash } = first;
  const lost: Lost = { lane, n, hash: HASH.test(hash) ? hash : null, reason: 'corrupt' };
  if (!(await putVoid(database, lost, nowMs))) return;
  await damaged.add({ lane, n, found: nowMs, refused: false, record });
}
