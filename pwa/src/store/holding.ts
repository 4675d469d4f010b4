/** The rows that one transaction changes: which scopes hold them, what they sum to, and what goes with them. */

import { ofText, total } from '../core/digest.ts';
import { pairKey, type Pair } from '../core/pairs.ts';
import { replaces } from '../core/pull.ts';
import type { Key } from '../core/rows.ts';
import type { Closed, Database, ProofRecord, RowRecord } from './database.ts';
import type { Pairs } from './standing.ts';

/** Copies of what lies at the centre: they go with the last row that names them. */
const COPIES = new Set(['fetched', 'sent']);

export class Holding {
  /** What is on disk once written, by key; null = gone. */
  readonly changed = new Map<Key, RowRecord | null>();
  private readonly stored = new Map<Key, RowRecord | null>();
  private readonly unwritten = new Set<Key>();
  /** Scopes of which every stored row is known. */
  private readonly whole = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly pairs: Pairs,
  ) {}

  /** The rows of these keys may be asked for. */
  async load(keys: Iterable<Key>): Promise<void> {
    const { rows } = this.database;
    const wanted = [...new Set(keys)].filter((key) => !this.stored.has(key));
    // On a device that is filled for the first time there is nothing to be found, thousands of times.
    const found = wanted.length && (await this.isAllKnown()) ? [] : await rows.bulkGet(wanted);
    wanted.forEach((key, i) => this.stored.set(key, found[i] ?? null));
  }

  private async isAllKnown(): Promise<boolean> {
    let known = 0;
    for (const record of this.stored.values()) if (record) known++;
    return (await this.database.rows.count()) === known;
  }

  /** Every row of the scope may be asked for. */
  async loadScope(scope: string): Promise<void> {
    if (this.whole.has(scope)) return;
    this.whole.add(scope);
    const records = await this.database.rows.where('scopes').equals(scope).toArray();
    for (const record of records) if (!this.stored.has(record.key)) this.stored.set(record.key, record);
  }

  /** The keys that a scope holds, in one lane or in all. */
  async heldBy(scope: string, lane: number | null): Promise<Key[]> {
    await this.loadScope(scope);
    return [...this.stored.keys()].filter((key) => {
      const now = this.current(key);
      return now !== null && now.scopes.includes(scope) && (lane === null || now.lane === lane);
    });
  }

  current(key: Key): RowRecord | null {
    const changed = this.changed.get(key);
    return changed === undefined ? (this.stored.get(key) ?? null) : changed;
  }

  /** The scope holds the row now; its body is taken unless a newer one is here. */
  enter(row: Closed, [scope, lane]: Pair): void {
    const before = this.current(row.key);
    const scopes = before?.scopes.includes(scope) ? before.scopes : [...(before?.scopes ?? []), scope];
    const { seq, digest, photos, body } = before && !replaces(row.seq, before.seq) ? before : row;
    this.change(row.key, { key: row.key, scopes, lane, seq, digest, photos, body });
  }

  /** The scope lets the row go; without any scope left it is gone. */
  release(key: Key, scope: string): void {
    const before = this.current(key);
    if (!before) return;
    const scopes = before.scopes.filter((one) => one !== scope);
    this.change(key, scopes.length ? { ...before, scopes } : null);
  }

  private change(key: Key, after: RowRecord | null): void {
    if (!this.stored.has(key)) this.stored.set(key, null);
    this.changed.set(key, after);
    this.unwritten.add(key);
  }

  /** Rows, sums, and the proofs and photos of what went are on disk. */
  async write(): Promise<void> {
    const { rows } = this.database;
    const entries = [...this.unwritten].map((key): [Key, RowRecord | null] => [key, this.current(key)]);
    this.unwritten.clear();
    const kept = entries.map(([, record]) => record).filter((record) => record !== null);
    const gone = entries.filter(([, record]) => record === null).map(([key]) => key);
    if (kept.length) await rows.bulkPut(kept);
    if (gone.length) await rows.bulkDelete(gone);
    for (const [key, after] of entries) this.sumUp(this.stored.get(key) ?? null, after);
    await this.dropPhotos(entries.map(([key]) => key));
    if (gone.length) await this.dropProofs(new Set(gone));
    for (const [key, after] of entries) this.stored.set(key, after);
  }

  /** The pair holds exactly these rows, and its sum is counted anew. */
  recount([scope, lane]: Pair, keys: Iterable<Key>): void {
    const digests = [...keys].map((key) => ofText(this.current(key)?.digest ?? '0'));
    this.pairs.sums.set(pairKey(scope, lane), total(digests));
  }

  private sumUp(before: RowRecord | null, after: RowRecord | null): void {
    for (const scope of before?.scopes ?? []) this.pairs.add(pairKey(scope, before!.lane), -ofText(before!.digest));
    for (const scope of after?.scopes ?? []) this.pairs.add(pairKey(scope, after!.lane), ofText(after!.digest));
  }

  private async dropPhotos(keys: readonly Key[]): Promise<void> {
    const { rows, blobs } = this.database;
    const left = new Set<string>();
    for (const key of keys) {
      const named = new Set(this.changed.get(key)?.photos);
      for (const sha256 of this.stored.get(key)?.photos ?? []) if (!named.has(sha256)) left.add(sha256);
    }
    for (const sha256 of left) {
      if (await rows.where('photos').equals(sha256).count()) continue;
      const blob = await blobs.get(sha256);
      if (blob && COPIES.has(blob.state)) await blobs.delete(sha256);
    }
  }

  /** What is yet to be offered stays until it was, though its rows are gone. */
  private async dropProofs(gone: ReadonlySet<Key>): Promise<void> {
    const { proofs } = this.database;
    const resting = await proofs
      .where('keys')
      .anyOf([...gone])
      .distinct()
      .toArray();
    const offered = new Set(this.pairs.offers);
    const shrunk = resting.map((one) => ({ ...one, keys: one.keys.filter((key) => !gone.has(key)) }));
    const isKept = ({ keys, dot }: ProofRecord): boolean => keys.length > 0 || offered.has(dot);
    await proofs.bulkPut(shrunk.filter(isKept));
    await proofs.bulkDelete(shrunk.filter((one) => !isKept(one)).map(({ dot }) => dot));
  }
}
