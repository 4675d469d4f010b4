/** Whether the disk still holds what was put there: one pair at a time, from the stored bytes. */

import { asText, digestOf, ofText, total } from '../core/digest.ts';
import { splitPairKey, type PairKey } from '../core/pairs.ts';
import { openAll } from './codec.ts';
import { isRow } from './closing.ts';
import type { Database, RowRecord } from './database.ts';
import { Pairs, readStanding } from './standing.ts';

/** So many rows are looked at before anything else gets its turn. */
const AT_ONCE_MAX = 200;

export interface Recheck {
  /** Lets others work between two lots. */
  pause: () => Promise<void>;
  /** True when an answer was taken since the check began: then only the rows themselves tell something. */
  overtaken: () => boolean;
}

/** True when each row of the pair gives the digest that it was taken with, and all together the sum kept for it. */
export async function isSound(database: Database, pair: PairKey, { pause, overtaken }: Recheck): Promise<boolean> {
  const [scope, lane] = splitPairKey(pair);
  const keys = await database.rows.where('scopes').equals(scope).primaryKeys();
  let sum = 0n;
  for (let at = 0; at < keys.length; at += AT_ONCE_MAX) {
    const found = await database.rows.bulkGet(keys.slice(at, at + AT_ONCE_MAX));
    const records = found.filter((record) => record !== undefined && record.lane === lane) as RowRecord[];
    if (!(await areSound(records))) return false;
    sum = total([sum, ...records.map(({ digest }) => ofText(digest))]);
    if (at + AT_ONCE_MAX < keys.length) await pause();
  }
  const kept = (await readStanding(database)).sums[pair] ?? '0';
  return overtaken() || asText(sum) === kept;
}

async function areSound(records: readonly RowRecord[]): Promise<boolean> {
  const rows = await openAll(records.map(({ body }) => body));
  return records.every(({ key, digest }, i) => isRow(rows[i], key) && asText(digestOf(rows[i])) === digest);
}

/** The next request asks for these pairs anew. */
export async function markBad(database: Database, found: readonly PairKey[]): Promise<void> {
  await database.transaction('rw', database.meta, async () => {
    const pairs = await Pairs.read(database);
    for (const pair of found) if (!pairs.restarting.has(pair)) pairs.bad.add(pair);
    await pairs.write(database);
  });
}
