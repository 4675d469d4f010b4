/** The tables on disk. Only opaque ids, scopes and numbers are indexed; see `codec.ts` for the bodies. */

import Dexie, { type Table } from 'dexie';
import type { Verdict } from '../core/contract.ts';
import type { Key } from '../core/rows.ts';
import type { Body } from './codec.ts';

/** A confirmed row with the granted scopes that hold it. */
export interface RowRecord {
  key: Key;
  scopes: string[];
  seq: number;
  body: Body;
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
}

export interface AwaitingRecord extends SavedRecord {
  seq: number;
  arrived: number;
}

export interface RefusedRecord extends SavedRecord {
  verdict: Verdict;
}

/** One page of a (scope, lane) that is not complete yet; invisible until it is. */
export interface StagedRecord {
  id?: number;
  scope: string;
  lane: number;
  rows: { key: Key; seq: number; body: Body }[];
  out: Key[];
  late: Verdict[];
}

export interface MetaRecord {
  key: string;
  value: unknown;
}

/**
 * `draft` belongs to a form, `waiting` to a saved mutation, `sent` is at the centre, `failed` was refused there for
 * good, `fetched` is somebody else's.
 */
export type BlobState = 'draft' | 'waiting' | 'sent' | 'failed' | 'fetched';

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

export const VERSION = 1;

export class Database extends Dexie {
  rows!: Table<RowRecord, Key>;
  outbox!: Table<OutboxRecord, [number, number]>;
  awaiting!: Table<AwaitingRecord, [number, number]>;
  refused!: Table<RefusedRecord, [number, number]>;
  staged!: Table<StagedRecord, number>;
  meta!: Table<MetaRecord, string>;
  blobs!: Table<BlobRecord, string>;

  constructor(name: string, options: DatabaseOptions = {}) {
    super(name, { chromeTransactionDurability: 'strict', autoOpen: false, ...options });
    this.version(VERSION).stores({
      rows: 'key, *scopes',
      outbox: '[lane+n]',
      awaiting: '[lane+n]',
      refused: '[lane+n]',
      staged: '++id, [scope+lane]',
      meta: 'key',
      blobs: 'sha256, state',
    });
  }

  async read<T>(key: string, otherwise: T): Promise<T> {
    const found = await this.meta.get(key);
    return found === undefined ? otherwise : (found.value as T);
  }
}
