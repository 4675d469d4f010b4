/** Where this device stands with each pair, and what it owes the centre after a change of epoch. */

import { asText, ofText } from '../core/digest.ts';
import type { PairKey, Repair } from '../core/pairs.ts';
import type { Key } from '../core/rows.ts';
import type { Database } from './database.ts';

/** As it lies on disk, under one key. */
export interface Standing {
  /** Pairs that begin anew: once complete they hold what came since, and nothing else. */
  restarting: PairKey[];
  /** Pairs that differ from the centre's; the next request asks for them anew. */
  bad: PairKey[];
  repairs: Record<PairKey, Repair>;
  /** The sum of the digests of the rows held under each pair, as hex. */
  sums: Record<PairKey, string>;
  /** Dots of signed mutations of others that the present log may lack. */
  offers: string[];
  /** Rows of the log before this one that nobody's signed words bring back. */
  unseen: Key[];
}

export const AT_REST: Standing = { restarting: [], bad: [], repairs: {}, sums: {}, offers: [], unseen: [] };

const KEY = 'standing';

export function readStanding(database: Database): Promise<Standing> {
  return database.read<Standing>(KEY, AT_REST);
}

/** The same, while one transaction works on it. */
export class Pairs {
  readonly restarting: Set<PairKey>;
  readonly bad: Set<PairKey>;
  readonly repairs: Map<PairKey, Repair>;
  readonly sums: Map<PairKey, bigint>;
  offers: string[];
  unseen: Key[];

  constructor(standing: Standing) {
    this.restarting = new Set(standing.restarting);
    this.bad = new Set(standing.bad);
    this.repairs = new Map(Object.entries(standing.repairs));
    this.sums = new Map(Object.entries(standing.sums).map(([pair, sum]) => [pair, ofText(sum)]));
    this.offers = standing.offers;
    this.unseen = standing.unseen;
  }

  static async read(database: Database): Promise<Pairs> {
    return new Pairs(await readStanding(database));
  }

  async write(database: Database): Promise<Standing> {
    const { restarting, bad, repairs, sums, offers, unseen } = this;
    const standing: Standing = {
      restarting: [...restarting],
      bad: [...bad],
      repairs: Object.fromEntries(repairs),
      sums: Object.fromEntries([...sums].map(([pair, sum]) => [pair, asText(sum)])),
      offers,
      unseen,
    };
    await database.keep(KEY, standing);
    return standing;
  }

  add(pair: PairKey, digest: bigint): void {
    this.sums.set(pair, BigInt.asUintN(64, (this.sums.get(pair) ?? 0n) + digest));
  }

  forget(pair: PairKey): void {
    for (const kept of [this.restarting, this.bad, this.repairs, this.sums]) kept.delete(pair);
  }

  known(): PairKey[] {
    return [...new Set([...this.restarting, ...this.bad, ...this.repairs.keys(), ...this.sums.keys()])];
  }
}
