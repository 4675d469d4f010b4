/** What a request tells of this device, beside what it sends. */

import { OFFERS_MAX, UNSEEN_MAX } from '../core/epoch.ts';
import type { Cursors, Proof, Row } from '../core/contract.ts';
import { splitPairKey, type Pair } from '../core/pairs.ts';
import { keyOf } from '../core/rows.ts';
import { openAll } from './codec.ts';
import type { Database } from './database.ts';
import { readStanding } from './standing.ts';
import type { Asked } from './take.ts';

export interface Asking {
  /** To be given back with the answer. */
  asked: Asked;
  bad: Pair[];
  offers: Proof[];
  seen: Row[];
  /** More offers wait than go with this request: own words, which may build on them, go with a later one. */
  wordsWait: boolean;
}

/** Where this device stands. Offers and rows to report go with a request for all lanes, as many as find room. */
export async function asking(database: Database, lanes: number[] | null, bytes: number): Promise<Asking> {
  const identity = await database.read<{ epoch?: string } | null>('identity', null);
  const cursors = await database.read<Cursors>('cursors', {});
  const standing = await readStanding(database);
  const bad = standing.bad.map(splitPairKey).filter(([, lane]) => lanes === null || lanes.includes(lane));
  const dots = lanes === null ? standing.offers.slice(0, OFFERS_MAX) : [];
  const keys = lanes === null ? standing.unseen.slice(0, UNSEEN_MAX) : [];
  const found = await database.proofs.bulkGet(dots);
  const here = dots.filter((_, i) => found[i]);
  const records = await database.rows.bulkGet(keys);
  const rows = await openAll(records.filter((record) => record !== undefined).map(({ body }) => body));
  const signed = found.flatMap((one) => one?.proof ?? []);
  const held = new Map(rows.map((row) => [keyOf(row.entity, row.id), row]));
  const offers = within(signed, bytes);
  const seen = within(
    keys.map((key) => held.get(key) ?? null),
    bytes,
  );
  const asked = {
    // A device that lost its epoch to a foreign answer still must ask, and is told the present one.
    epoch: identity?.epoch ?? '',
    cursors,
    offers: here.slice(0, offers.length),
    seen: keys.slice(0, seen.length),
    gone: dots.filter((_, i) => !found[i]),
  };
  const wordsWait = standing.offers.length > offers.length + asked.gone.length;
  return { asked, bad, wordsWait, offers, seen: seen.filter((one) => one !== null) };
}

/** Most of what people write here is Chinese: three bytes of UTF-8 for one code unit. */
const BYTES_PER_UNIT = 3;

/** The first that fit into `bytes`, and always one; null, for what is gone from here, takes no room. */
function within<T>(all: readonly T[], bytes: number): T[] {
  let room = bytes;
  const fitting = all.findIndex((one, i) => {
    room -= one === null ? 0 : JSON.stringify(one).length * BYTES_PER_UNIT;
    return room < 0 && i > 0;
  });
  return fitting < 0 ? [...all] : all.slice(0, fitting);
}
