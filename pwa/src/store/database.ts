/** The tables on disk. Only opaque ids, scopes, hashes and numbers are indexed; see `codec.ts` for the bodies. */

import Dexie, { type Table } from 'dexie';
import type { Proof, Verdict } from '../core/contract.ts';
import type { Key } from '../core/rows.ts';
import type { Body } from './codec.ts';
import { upgradeFrom1 } from './upgrade.ts';

/** The body of a row, with what must be known of it while it is closed. */
export interface Closed {
  key: Key;
  seq: number;
  /** What the row adds to the sum of each pair that it is in, as hex; made when the row was taken. */
  digest: string;
  /** SHA-256 of the photos that it names. */
  photos: string[];
  body: Body;
}

/** A confirmed row with the granted scopes that hold it, all in one lane. */
export interface RowRecord extends Closed {
  scopes: string[];
  lane: number;
}

/** A mutation in the exact text that will travel. `ticket` tells a retried save that it was done already. */
export interface SavedRecord {
  lane: number;
  n: number;
  raw: string;
  hash: string;
  ticket: string;
  at: number;
  photos: string[];
}

export interface OutboxRecord extends SavedRecord {
  /** The code of a `held` verdict: the centre has the words and waits for what they build on. */
  held: string | null;
  /** The centre had it once, and has lost it. */
  again?: boolean;
}

/** Taken by the centre at `seq`, at `arrived` by its clock. */
export interface AwaitingRecord extends SavedRecord {
  seq: number;
  arrived: number;
  tags: string[];
}

export interface RefusedRecord extends SavedRecord {
  verdict: Verdict;
}

/**
 * A record whose text no longer gives its hash, as it was found, or null where nothing is left of it; `refused` words
 * had reached the centre before.
 */
export interface DamagedRecord {
  id?: number;
  lane: number;
  n: number;
  found: number;
  refused: boolean;
  record: OutboxRecord | RefusedRecord | null;
}

/** Signed words of somebody else, with the rows here that rest on them and the seq at which the centre had them. */
export interface ProofRecord {
  dot: string;
  seq: number;
  keys: Key[];
  proof: Proof;
}

/** One page of a (scope, lane) that is not complete yet; invisible until it is. */
export interface StagedRecord {
  id?: number;
  scope: string;
  lane: number;
  rows: Closed[];
  out: Key[];
  late: Verdict[];
  proofs: ProofRecord[];
  /** SHA-256 of the snapshot part that it came from. */
  part: string | null;
}

export interface MetaRecord {
  key: string;
  value: unknown;
}

/**
 * `draft` belongs to a form, `waiting` to a saved mutation, `sent` is at the centre, `failed` was refused there for
 * good, `spoilt` does not give its hash any more, `fetched` is somebody else's.
 */
export type BlobState = 'draft' | 'waiting' | 'sent' | 'failed' | 'spoilt' | 'fetched';

export interface BlobRecord {
  sha256: string;
  blob: Blob;
  size: number;
  type: string;
  state: BlobState;
  /** Where the upload continues, once it began. */
  upload: string | null;
  /** When it was put down, by the device's clock; older records have none until they are first swept over. */
  at?: number;
}

export interface DatabaseOptions {
  indexedDB?: IDBFactory;
  IDBKeyRange?: typeof IDBKeyRange;
}

export const VERSION = 2;

const FIRST = {
  rows: 'key, *scopes',
  outbox: '[lane+n]',
  awaiting: '[lane+n]',
  refused: '[lane+n]',
  staged: '++id, [scope+lane]',
  meta: 'key',
  blobs: 'sha256, state',
};

export class Database extends Dexie {
  rows!: Table<RowRecord, Key>;
  outbox!: Table<OutboxRecord, [number, number]>;
  awaiting!: Table<AwaitingRecord, [number, number]>;
  sent!: Table<AwaitingRecord, [number, number]>;
  refused!: Table<RefusedRecord, [number, number]>;
  damaged!: Table<DamagedRecord, number>;
  staged!: Table<StagedRecord, number>;
  proofs!: Table<ProofRecord, string>;
  meta!: Table<MetaRecord, string>;
  blobs!: Table<BlobRecord, string>;

  constructor(name: string, options: DatabaseOptions = {}) {
    super(name, { chromeTransactionDurability: 'strict', autoOpen: false, ...options });
    this.version(1).stores(FIRST);
    this.version(VERSION)
      .stores({
        rows: 'key, *scopes, *photos',
        sent: '[lane+n], seq, arrived, *tags',
        damaged: '++id, [lane+n]',
        proofs: 'dot, seq, *keys',
      })
      .upgrade(upgradeFrom1);
  }

  async read<T>(key: string, otherwise: T): Promise<T> {
    const found = await this.meta.get(key);
    return found === undefined ? otherwise : (found.value as T);
  }

  async keep(key: string, value: unknown): Promise<void> {
    await this.meta.put({ key, value });
  }
}
