/** What lies on a device's disk, told piece by piece, and whether its tabs show just that. */

import { canonical } from '../../src/core/canonical.ts';
import type { Cursors, Row } from '../../src/core/contract.ts';
import { asText, ofText, total } from '../../src/core/digest.ts';
import { dotOf } from '../../src/core/mutation.ts';
import { pairKey, splitPairKey, type Pair } from '../../src/core/pairs.ts';
import type { Key } from '../../src/core/rows.ts';
import type { MetaRecord, RefusedRecord, RowRecord, SavedRecord, StagedRecord } from '../../src/store/database.ts';
import { AT_REST, type Standing } from '../../src/store/standing.ts';
import type { Store } from '../../src/store/store.ts';
import type { Image } from './disk.ts';

export interface Seen {
  epoch: string;
  /** Rows that are others than when this was asked last, and the scopes that hold them. */
  rows: [Row, string[]][];
  gone: Key[];
  cursors: Cursors;
  unsure: Pair[];
  bad: Pair[];
  outbox: [string, string][];
  kept: string[];
  refused: [string, string, string][];
  damaged: string[];
  busy: boolean;
  /** How memory and disk, or a sum and its rows, differ; null when they do not. */
  astray: string | null;
}

export class Look {
  /** Rows that were changed on the disk behind the store's back. */
  readonly spoilt = new Set<Key>();
  private told = new Map<Key, RowRecord>();
  /** Of each row in a tab's memory, the record that it was found to be. */
  private readonly same = new WeakMap<Row, RowRecord>();

  at(image: Image, stores: readonly Store[]): Seen {
    const table = <R>(name: string): R[] => image.get(name) as R[];
    const meta = new Map(table<MetaRecord>('meta').map(({ key, value }) => [key, value]));
    const { replica, epoch } = meta.get('identity') as { replica: string; epoch: string };
    const standing = (meta.get('standing') as Standing | undefined) ?? AT_REST;
    const { restarting, bad, repairs, offers, unseen } = standing;
    const records = table<RowRecord>('rows');
    const dot = ({ lane, n }: Pick<SavedRecord, 'lane' | 'n'>): string => dotOf(replica, lane, n);
    const staged = table<StagedRecord>('staged').map(({ scope, lane }): Pair => [scope, lane]);
    const changes = this.changes(records);
    return {
      epoch,
      ...changes,
      cursors: (meta.get('cursors') as Cursors | undefined) ?? {},
      unsure: [...staged, ...[...restarting, ...bad, ...Object.keys(repairs)].map(splitPairKey)],
      bad: bad.map(splitPairKey),
      outbox: table<SavedRecord>('outbox').map((one) => [dot(one), one.hash]),
      kept: table<SavedRecord>('sent').map(dot),
      refused: table<RefusedRecord>('refused').map((one) => [dot(one), one.hash, one.verdict.verdict]),
      damaged: table<SavedRecord>('damaged').map(dot),
      busy: offers.length + unseen.length > 0,
      astray: this.astray(stores, records, changes.gone) ?? sumAstray(records, standing),
    };
  }

  private changes(records: readonly RowRecord[]): Pick<Seen, 'rows' | 'gone'> {
    const now = new Map(records.map((one) => [one.key, one]));
    const fresh = records.filter((one) => this.told.get(one.key) !== one);
    const gone = [...this.told.keys()].filter((key) => !now.has(key));
    this.told = now;
    return { rows: fresh.map(({ body, seq, scopes }) => [{ ...body, seq }, scopes]), gone };
  }

  /** A tab shows what lies on the disk, and nothing else. */
  private astray(stores: readonly Store[], records: readonly RowRecord[], gone: readonly Key[]): string | null {
    const left = gone.find((key) => stores.some(({ memory }) => memory.confirmedRow(key) !== null));
    if (left !== undefined) return `${left} is gone from the disk`;
    for (const key of this.spoilt) if (!this.told.has(key)) this.spoilt.delete(key);
    for (const record of records) {
      const differs = stores.some((store) => !this.isShown(store, record));
      if (!differs) this.spoilt.delete(record.key);
      else if (!this.spoilt.has(record.key)) return `${record.key} is another on disk`;
    }
    return null;
  }

  private isShown(store: Store, record: RowRecord): boolean {
    const row = store.memory.confirmedRow(record.key);
    if (row === null) return false;
    if (this.same.get(row) === record) return true;
    if (canonical(row) !== canonical(record.body)) return false;
    this.same.set(row, record);
    return true;
  }
}

/** The sums kept are those of the rows that are there. */
function sumAstray(records: readonly RowRecord[], { sums }: Standing): string | null {
  const found = new Map<string, bigint>();
  for (const { scopes, lane, digest } of records) {
    for (const scope of scopes) {
      const pair = pairKey(scope, lane);
      found.set(pair, (found.get(pair) ?? 0n) + ofText(digest));
    }
  }
  for (const pair of new Set([...found.keys(), ...Object.keys(sums)])) {
    const sum = asText(total([found.get(pair) ?? 0n]));
    if (sum !== (sums[pair] ?? '0')) return `${pair} sums to ${sum}, not ${sums[pair]}`;
  }
  return null;
}
