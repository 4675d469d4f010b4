/** Saving a mutation: its number, chain, stamp, bytes and photos in one transaction, or nothing at all. */

import type { Stamp } from '../core/stamp.ts';
import { INTENTS } from '../core/contract.ts';
import { NO_TIP, type Saved, type Tip } from '../core/outbox.ts';
import { numbered, savedFrom, type Author, type Intention } from '../core/replica.ts';
import type { Database, OutboxRecord } from './database.ts';

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

const tipKey = (lane: number): string => `tip/${lane}`;
const onceKey = (mark: string): string => `once/${mark}`;

/**
 * Saves the mutation; on disk when it resolves. The number is taken inside the transaction, so that two tabs never
 * take the same one. Null when `once` was used before. Throws a Refusal before anything is written.
 */
export async function saveMutation(database: Database, request: SaveRequest): Promise<SaveResult | null> {
  const { outbox, meta, blobs } = database;
  return database.transaction('rw', [outbox, meta, blobs], async () => {
    const lane = INTENTS[request.meant.intent]?.lane ?? 0;
    const tip = await database.read<Tip>(tipKey(lane), NO_TIP);
    const before = await outbox.get([lane, tip.n]);
    if (before?.ticket === request.ticket) return { saved: savedFrom(before.raw), record: before };
    if (request.once && (await meta.get(onceKey(request.once)))) return null;
    const result = await append(database, request, tip);
    await outbox.add(result.record);
    for (const sha256 of request.photos) await blobs.update(sha256, { state: 'waiting' });
    if (request.once) await meta.put({ key: onceKey(request.once), value: true });
    return result;
  });
}

async function append(database: Database, request: SaveRequest, tip: Tip): Promise<SaveResult> {
  const author = await database.read<Author | null>('identity', null);
  if (!author) throw new NotEnrolled('no identity');
  const last = await database.read<Stamp>('stamp', { wallMs: 0, counter: 0, replica: author.replica });
  const next = numbered(author, request.meant, tip, last, request.nowMs);
  await database.meta.bulkPut([
    { key: tipKey(next.saved.lane), value: next.tip },
    { key: 'stamp', value: next.stamp },
  ]);
  const { lane, n, raw, hash } = next.saved;
  const { ticket, nowMs, photos } = request;
  return { saved: next.saved, record: { lane, n, raw, hash, ticket, at: nowMs, photos, held: null } };
}
