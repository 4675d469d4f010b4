/** Saving mutations: number, chain, stamp, bytes and photos in one transaction, or nothing at all. */
import { Refusal } from '../core/mutation.ts';
import { NO_TIP, type Saved, type Tip } from '../core/outbox.ts';
import { numbered, savedOf, type Author, type Intention } from '../core/replica.ts';
import { INTENTS } from '../core/intents.ts';
import type { Database, OutboxRecord } from './database.ts';
import { owe, type Numbered } from './owing.ts';
import { isIntact, stampOf, tipKey } from './shelves.ts';

export interface SaveRequest {
  meant: Intention;
  nowMs: number;
  /** Unique per intention: a save that is tried again finds that it was done. */
  ticket: string;
  /** SHA-256 of the photos that its changes name and that lie here. */
  photos: string[];
  /** When given, only the first save with this mark is made. */
  once: string | null;
}

export interface SaveResult {
  saved: Saved;
  record: OutboxRecord;
}

/** Nobody is enrolled on this device. */
export class NotEnrolled extends Error {}

const onceKey = (mark: string): string => `once/${mark}`;

/**
 * Saves mutations in one transaction; on disk when it resolves. Numbers are taken inside it, so that two tabs never
 * take the same one. Null where `once` was used before, the Refusal where no server would ever take it.
 */
export async function saveMutations(
  database: Database,
  requests: readonly SaveRequest[],
): Promise<(SaveResult | Refusal | null)[]> {
  const { outbox, meta, blobs } = database;
  return database.transaction('rw', [outbox, meta, blobs], async () => {
    const done = await doneBefore(database, requests);
    const results: (SaveResult | Refusal | null)[] = [];
    for (const request of requests) results.push(done.get(request.ticket) ?? (await saveOne(database, request)));
    await oweAll(database, results);
    return results;
  });
}

/** What was saved is owed; what an earlier try has saved is once more, which changes nothing. */
async function oweAll(database: Database, results: readonly (SaveResult | Refusal | null)[]): Promise<void> {
  const records = results.flatMap((one) => (one === null || one instanceof Refusal ? [] : [one.record]));
  if (!records.length) return;
  const numbers = records.map(({ lane, n }): Numbered => [lane, n]);
  const named = records.flatMap(({ photos }) => photos);
  const photos = named.length ? await database.blobs.where('sha256').anyOf(named).primaryKeys() : [];
  await owe(database, { numbers, photos });
}

const laneOf = ({ meant }: SaveRequest): number => INTENTS[meant.intent]?.lane ?? 0;

/** What an earlier try, whose answer was lost, has saved: the newest of each lane, by ticket. */
async function doneBefore(database: Database, requests: readonly SaveRequest[]): Promise<Map<string, SaveResult>> {
  const done = new Map<string, SaveResult>();
  const tickets = new Set(requests.map(({ ticket }) => ticket));
  for (const lane of new Set(requests.map(laneOf))) {
    const { n } = await database.read<Tip>(tipKey(lane), NO_TIP);
    const newest = Array.from({ length: Math.min(requests.length, n) }, (_, i): [number, number] => [lane, n - i]);
    for (const record of await database.outbox.bulkGet(newest)) {
      // What the disk has spoilt was not done, and must not keep anything else from being saved.
      if (record && tickets.has(record.ticket) && isIntact(record)) {
        done.set(record.ticket, { saved: savedOf(record), record });
      }
    }
  }
  return done;
}

async function saveOne(database: Database, request: SaveRequest): Promise<SaveResult | Refusal | null> {
  const { outbox, meta, blobs } = database;
  if (request.once && (await meta.get(onceKey(request.once)))) return null;
  const result = await append(database, request).catch((error: unknown) => {
    if (error instanceof Refusal) return error;
    throw error;
  });
  if (result instanceof Refusal) return result;
  await outbox.add(result.record);
  for (const sha256 of request.photos) await blobs.update(sha256, { state: 'waiting' });
  if (request.once) await meta.put({ key: onceKey(request.once), value: true });
  return result;
}

async function append(database: Database, request: SaveRequest): Promise<SaveResult> {
  const tip = await database.read<Tip>(tipKey(laneOf(request)), NO_TIP);
  const author = await database.read<Author | null>('identity', null);
  if (!author) throw new NotEnrolled('no identity');
  const last = await stampOf(database, author.replica);
  const next = numbered(author, request.meant, tip, last, request.nowMs);
  await database.meta.bulkPut([
    { key: tipKey(next.saved.lane), value: next.tip },
    { key: 'stamp', value: next.stamp },
  ]);
  const { lane, n, raw, hash } = next.saved;
  const { ticket, nowMs, photos } = request;
  return { saved: next.saved, record: { lane, n, raw, hash, ticket, at: nowMs, photos, held: null } };
}
