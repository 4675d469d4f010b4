/** The centre was restored: its log is another one above the fork, and this device offers it what it lacks. */

import { dotsOf, isUnseen, provenKeys, vainOffers } from '../core/epoch.ts';
import type { Cursors, Row, Verdict } from '../core/contract.ts';
import { dotOf } from '../core/mutation.ts';
import { keyOf, type Key } from '../core/rows.ts';
import { openAll } from './codec.ts';
import type { Database, SavedRecord } from './database.ts';
import { offerAgain, offerPhotos } from './shelves.ts';
import { readStanding, type Pairs } from './standing.ts';

/** A seq that the new log will give is not known yet, and is above every fork. */
const UNKNOWN_SEQ = Number.MAX_SAFE_INTEGER;

/** The rows above the fork, and those not told since an earlier restore, opened: no transaction could wait for that. */
export async function rowsAbove(database: Database, fork: number): Promise<Row[]> {
  const records = await database.rows.filter(({ seq }) => seq > fork || seq === 0).toArray();
  return openAll(records.map(({ body }) => body));
}

/** The keys of rows that rest on an offer which convinced nobody; opened, as no transaction could wait for that. */
export async function unproven(database: Database, verdicts: readonly Verdict[]): Promise<Key[]> {
  const vain = vainOffers((await readStanding(database)).offers, verdicts);
  if (!vain.length) return [];
  const proofs = await database.proofs.bulkGet(vain);
  const keys = proofs.flatMap((one) => (one ? (provenKeys(one.proof) ?? []) : []));
  const records = await database.rows.bulkGet([...new Set(keys)]);
  const rows = await openAll(records.filter((record) => record !== undefined).map(({ body }) => body));
  const resting = rows.filter((row) => dotsOf(row).some((dot) => vain.includes(dot)));
  return resting.map(({ entity, id }) => keyOf(entity, id));
}

export interface Restored {
  identity: { replica: string };
  epoch: string;
  fork: number;
  above: readonly Row[];
}

/**
 * Own words above the fork wait again, signed words of others will be offered, rows that neither brings back are
 * reported. Own photos are offered too: of what is still there, no byte goes twice. Every pair begins anew; held rows
 * stay to be seen, and any row of the new log replaces one of them.
 */
export async function startOver(database: Database, pairs: Pairs, restored: Restored): Promise<void> {
  const { rows, outbox, staged, proofs, blobs } = database;
  const { identity, epoch, fork } = restored;
  await database.keep('identity', { ...identity, epoch });
  const scopes = Object.keys(await database.read<Cursors>('cursors', {}));
  await database.keep('cursors', Object.fromEntries(scopes.map((scope) => [scope, {}])));
  await offerAgain(database, await ownAbove(database, fork));
  await outbox.toCollection().modify({ held: null });
  await offerPhotos(database, await blobs.where('state').equals('sent').primaryKeys());
  const own = [...(await outbox.toArray()), ...(await database.sent.toArray())];
  const proven = await proofs.toCollection().primaryKeys();
  const provable = new Set([...proven, ...own.map(({ lane, n }) => dotOf(identity.replica, lane, n))]);
  const offered = await proofs.where('seq').above(fork).primaryKeys();
  await proofs.where('seq').above(fork).modify({ seq: UNKNOWN_SEQ });
  const unseen = restored.above.filter((row) => isUnseen(row, provable)).map(({ entity, id }) => keyOf(entity, id));
  pairs.offers = [...new Set([...pairs.offers, ...offered])];
  pairs.unseen = [...new Set([...pairs.unseen, ...unseen])];
  for (const kept of [pairs.restarting, pairs.bad, pairs.repairs]) kept.clear();
  await staged.clear();
  await rows.toCollection().modify({ seq: 0 });
}

/** What the log before took above the fork, whatever its verdict. */
async function ownAbove({ sent, awaiting, refused }: Database, fork: number): Promise<SavedRecord[]> {
  return [
    ...(await sent.where('seq').above(fork).toArray()),
    ...(await awaiting.filter(({ seq }) => seq > fork).toArray()),
    ...(await refused.filter(({ verdict }) => verdict.seq > fork).toArray()),
  ];
}
