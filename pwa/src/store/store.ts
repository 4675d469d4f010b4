/** One device's memory on disk: what was saved is on disk, what is read comes from memory. */

import type { Cursors, Row, Snapshot, SnapshotFile, SyncReply } from '../core/contract.ts';
import { byMaking, type Saved } from '../core/outbox.ts';
import { Refusal } from '../core/mutation.ts';
import { asText, ofText, total } from '../core/digest.ts';
import { pairKey, type PairKey } from '../core/pairs.ts';
import { savedOf } from '../core/replica.ts';
import { keyOf, type Key } from '../core/rows.ts';
import { TAGS } from '../core/intents.ts';
import { asking, type Asking } from './asking.ts';
import { BlobShelf, owedOf, type OwedPhoto } from './blobs.ts';
import { NO_CHANNEL, type TabChannel } from './channel.ts';
import { isRow } from './closing.ts';
import { openAll } from './codec.ts';
import {
  Database,
  type AwaitingRecord,
  type DamagedRecord,
  type DatabaseOptions,
  type OutboxRecord,
  type RefusedRecord,
  type RowRecord,
  type SavedRecord,
} from './database.ts';
import { DraftShelf } from './drafts.ts';
import { Guard } from './guard.ts';
import { Memory } from './memory.ts';
import { noteOnce, readOwing, type Numbered } from './owing.ts';
import { isSound, markBad } from './recheck.ts';
import { saveMutations, type SaveRequest, type SaveResult } from './save.ts';
import { isIntact, setAside } from './shelves.ts';
import { closeSnapshot, partsHere, stagePart } from './snapshot.ts';
import { AT_REST, readStanding, type Standing } from './standing.ts';
import { takeReply, type Asked, type Taken } from './take.ts';

export interface StoreOptions extends DatabaseOptions {
  name: string;
  /** The device's own clock, ms since 1970. */
  now: () => number;
  channel?: TabChannel;
}

export type With<R> = R & { saved: Saved };

/** Reading all bodies at once would hold them twice in memory. */
const LOAD_ROWS_MAX = 2_000;

export class Store {
  readonly memory = new Memory();
  readonly blobs: BlobShelf;
  private readonly drafts: DraftShelf;
  outbox: With<OutboxRecord>[] = [];
  awaiting: With<AwaitingRecord>[] = [];
  refused: With<RefusedRecord>[] = [];
  /** Own mutations that were taken with a remark. */
  tagged: With<AwaitingRecord>[] = [];
  /** Own words that the disk has spoilt, as far as they are left. */
  damaged: DamagedRecord[] = [];
  /** Photos of saved words that the centre does not have. */
  photos: OwedPhoto[] = [];
  standing: Standing = AT_REST;
  private readonly now: () => number;
  /** Answers taken since this tab began. */
  private answers = 0;
  private rechecked: PairKey = '';
  private readonly database: Database;
  private readonly guard: Guard;
  private readonly channel: TabChannel;
  private readonly listeners = new Set<(keys: ReadonlySet<Key> | null) => void>();
  private last: Promise<unknown> = Promise.resolve();

  private constructor(options: StoreOptions) {
    const { name, now, channel = NO_CHANNEL, ...factory } = options;
    this.now = now;
    this.database = new Database(name, factory);
    this.guard = new Guard(this.database, () => this.tell(null));
    this.blobs = new BlobShelf(this.guard, () => this.inTurn(() => this.listsChanged()));
    this.drafts = new DraftShelf(this.guard);
    this.channel = channel;
  }

  /** Opens the database and fills the memory. */
  static async open(options: StoreOptions): Promise<Store> {
    const store = new Store(options);
    await store.inTurn(() => store.load());
    store.channel.listen((message) => {
      if (message.kind === 'all') void store.inTurn(() => store.load()).catch(() => store.tell(null));
      if (message.kind === 'draft') void store.inTurn(() => store.drafts.reload(message.name)).catch(() => undefined);
      if (message.kind === 'changed') void store.hear(message.keys, message.lists);
    });
    return store;
  }

  get lost(): boolean {
    return this.guard.lost;
  }

  get outdated(): boolean {
    return this.guard.outdated;
  }

  /** Called with the keys of changed rows (null: anything may have changed). The unsubscriber is returned. */
  onChange(listener: (keys: ReadonlySet<Key> | null) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Saves a mutation; on disk when it resolves. Null when its `once` mark was used before. */
  async save(request: SaveRequest): Promise<Saved | null> {
    const [saved] = await this.saveAll([request]);
    if (saved instanceof Refusal) throw saved;
    return saved!;
  }

  /** Saves several in one transaction. A Refusal of one, which any server would give, does not hold up the others. */
  async saveAll(requests: readonly SaveRequest[]): Promise<(Saved | Refusal | null)[]> {
    return this.inTurn(async () => {
      const results = await this.guard.run((database) => saveMutations(database, requests));
      const made = results.filter((one): one is SaveResult => one !== null && !(one instanceof Refusal));
      for (const { record, saved } of made) {
        this.outbox.push({ ...record, saved });
        this.memory.lay(saved);
      }
      if (made.length) this.laidOver(keysOf(made.map((one) => one.saved)));
      return results.map((one) => (one === null || one instanceof Refusal ? one : one.saved));
    });
  }

  /** What the next request says of this device; the answer is taken with `asked`. */
  asking(lanes: number[] | null, bytes: number): Promise<Asking> {
    return this.guard.run((database) => asking(database, lanes, bytes));
  }

  /** Takes an answer of the centre; on disk and in memory when it resolves. What changed. */
  async take(reply: SyncReply, asked: Asked | null = null): Promise<Omit<Taken, 'rows'> & { keys: ReadonlySet<Key> }> {
    const told = await this.inTurn(async () => {
      const taken = await this.guard.run((database) => takeReply(database, reply, asked));
      this.answers++;
      this.standing = taken.standing ?? this.standing;
      await this.remember(taken.rows);
      const before = keysOf(this.unconfirmed());
      if (taken.lists) await this.loadLists();
      const keys = new Set([...taken.rows.keys(), ...(taken.lists ? before : [])]);
      this.channel.post({ kind: 'changed', keys: [...taken.rows.keys()], lists: taken.lists });
      if (keys.size || taken.lists) this.tell(keys);
      return { ...taken, keys: new Set(taken.rows.keys()) };
    });
    if (told.identity) this.channel.post({ kind: 'all' });
    return told;
  }

  /** The parts of a snapshot that are here already, by hash. */
  partsHere(snapshot: Snapshot): Promise<Set<string>> {
    return this.guard.run((database) => partsHere(database, snapshot));
  }

  stagePart(file: SnapshotFile, sha256: string): Promise<void> {
    return this.guard.run((database) => stagePart(database, file, sha256));
  }

  /** All parts are here: pages follow from its seq. False while one is not. */
  closeSnapshot(snapshot: Snapshot): Promise<boolean> {
    return this.guard.run((database) => closeSnapshot(database, snapshot));
  }

  /**
   * Those of these mutations that still lie in the outbox as they were saved. What the disk spoilt meanwhile is mended
   * from memory; what cannot be mended is moved aside.
   */
  async intact(saved: readonly Saved[]): Promise<Saved[]> {
    if (!saved.length) return [];
    return this.inTurn(async () => {
      const numbers = saved.map(({ lane, n }): [number, number] => [lane, n]);
      const records = await this.guard.run((database) => database.outbox.bulkGet(numbers));
      const isSame = (record: OutboxRecord | undefined, i: number): boolean =>
        record?.raw === saved[i]!.raw && record.hash === saved[i]!.hash;
      if (!records.every(isSame)) await this.listsChanged();
      const here = new Set(this.outbox.map((one) => one.saved));
      return saved.filter((one) => here.has(one));
    });
  }

  /**
   * Looks through the next pair on the disk; what a pair that begins anew holds is about to go. True when it is not
   * what was put there: it will be asked for anew.
   */
  async recheck(pause: () => Promise<void>): Promise<boolean> {
    const anew = new Set(this.standing.restarting);
    const known = Object.keys(this.standing.sums)
      .filter((one) => !anew.has(one))
      .sort();
    const pair = known.find((one) => one > this.rechecked) ?? known[0];
    if (pair === undefined) return false;
    this.rechecked = pair;
    const began = this.answers;
    const overtaken = (): boolean => this.answers !== began;
    if (await this.guard.run((database) => isSound(database, pair, { pause, overtaken }))) return false;
    await this.inTurn(() => this.markBad([pair]));
    return true;
  }

  /** A person has seen the spoilt words, or has them in a file: they go. */
  async dismissDamaged(id: number): Promise<void> {
    await this.inTurn(async () => {
      await this.guard.run((database) => database.damaged.delete(id));
      await this.listsChanged();
    });
  }

  /** A person has seen the refusal: its words go. */
  async dismiss(lane: number, n: number): Promise<void> {
    await this.inTurn(async () => {
      await this.guard.run((database) => database.refused.delete([lane, n]));
      await this.listsChanged();
    });
  }

  /**
   * This device is a new replica: identity and credentials are on disk together, what an earlier one knew is gone.
   * Throws UnsentWork, and changes nothing, while something written here has not reached the centre.
   */
  async enrolled(values: Record<string, unknown>): Promise<void> {
    await this.inTurn(async () => {
      await this.guard.run((database) => beginAnew(database, values));
      await this.load();
    });
    this.channel.post({ kind: 'all' });
  }

  /** An unfinished form, from memory; null when there is none. */
  draft<T>(name: string): T | null {
    return this.drafts.get<T>(name);
  }

  /** Afterwards the draft is on disk; it is in memory at once. Null drops it. */
  async keepDraft(name: string, value: unknown): Promise<void> {
    const copy = this.drafts.hold(name, value);
    await this.inTurn(() => this.drafts.put(name, copy));
    this.channel.post({ kind: 'draft', name });
  }

  /** Throws UnsentWork when enrolling this device anew would lose something. */
  checkSent(): Promise<void> {
    return this.guard.run(checkSent);
  }

  read<T>(key: string, otherwise: T): Promise<T> {
    return this.guard.run((database) => database.read(key, otherwise));
  }

  /** Puts down several values at once. */
  async write(values: Record<string, unknown>): Promise<void> {
    const records = Object.entries(values).map(([key, value]) => ({ key, value }));
    await this.guard.run((database) => database.meta.bulkPut(records));
  }

  cursors(): Promise<Cursors> {
    return this.read<Cursors>('cursors', {});
  }

  /** Own mutations whose rows have not come back, oldest first. */
  unconfirmed(): Saved[] {
    return byMaking<{ saved: Saved }>([...this.awaiting, ...this.outbox]).map((one) => one.saved);
  }

  /** Resolves once memory holds all that other tabs have told so far. */
  async caughtUp(): Promise<void> {
    await this.last;
  }

  close(): void {
    this.channel.close();
    this.database.close();
  }

  /** One thing at a time in this tab, so that memory always is what the disk was at some moment. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work, work);
    this.last = mine.catch(() => undefined);
    return mine;
  }

  private async load(): Promise<void> {
    // A database that is gone leaves the memory as it was.
    const keys = await this.guard.run((database) => database.rows.toCollection().primaryKeys());
    await this.guard.run(noteOnce);
    this.memory.clear();
    const sums = new Map<PairKey, bigint>();
    for (let at = 0; at < keys.length; at += LOAD_ROWS_MAX) {
      const records = await this.reload(keys.slice(at, at + LOAD_ROWS_MAX));
      for (const { scopes, lane, digest } of records) {
        for (const scope of scopes) {
          const pair = pairKey(scope, lane);
          sums.set(pair, total([sums.get(pair) ?? 0n, ofText(digest)]));
        }
      }
    }
    await this.missAny(sums);
    await this.loadLists();
    await this.drafts.load();
    this.tell(null);
  }

  /** A pair whose rows do not sum to what was kept for it has lost some: it is asked for anew. */
  private async missAny(sums: ReadonlyMap<PairKey, bigint>): Promise<void> {
    const { sums: kept, restarting } = await this.guard.run(readStanding);
    const lost = Object.keys(kept).filter((pair) => asText(sums.get(pair) ?? 0n) !== kept[pair]);
    const anew = new Set(restarting);
    if (lost.some((pair) => !anew.has(pair))) await this.markBad(lost);
  }

  private async reload(keys: Key[]): Promise<RowRecord[]> {
    const records = await this.guard.run((database) => database.rows.bulkGet(keys));
    await this.remember(new Map(keys.map((key, i) => [key, records[i] ?? null])));
    return records.filter((record) => record !== undefined);
  }

  /** What the disk no longer gives back is not shown, and is asked for anew. */
  private async remember(records: ReadonlyMap<Key, RowRecord | null>): Promise<void> {
    const kept = [...records.values()].filter((record) => record !== null);
    const rows: (Row | undefined)[] = await openAll(kept.map((record) => record.body));
    for (const [key, record] of records) if (record === null) this.memory.confirm(key, null);
    const spoilt = kept.filter(({ key }, i) => !isRow(rows[i], key));
    rows.forEach((row, i) => isRow(row, kept[i]!.key) && this.memory.confirm(kept[i]!.key, row));
    if (spoilt.length)
      await this.markBad(spoilt.flatMap(({ scopes, lane }) => scopes.map((one) => pairKey(one, lane))));
  }

  private async markBad(pairs: readonly PairKey[]): Promise<void> {
    await this.guard.run((database) => markBad(database, [...new Set(pairs)]));
    await this.listsChanged();
  }

  private async loadLists(): Promise<void> {
    const remembered = new Map(this.own().map(({ saved }) => [saved.hash, saved]));
    const isWhole = (record: OutboxRecord | RefusedRecord): boolean =>
      remembered.get(record.hash)?.raw === record.raw || isIntact(record);
    let lists = await this.readLists();
    const outbox = lists.outbox.filter((record) => !isWhole(record));
    const refused = lists.refused.filter((record) => !isWhole(record));
    const lost = lostOf(lists.owing.numbers, lists.outbox);
    if (outbox.length || refused.length || lost.length) {
      const offset = await this.read<unknown>('offset', 0);
      const nowMs = this.now() + (Number.isSafeInteger(offset) ? (offset as number) : 0);
      const suspects = { outbox, refused, lost, remembered: this.own(), nowMs };
      await this.guard.run((database) => setAside(database, suspects));
      lists = await this.readLists();
    }
    const unpacked = <R extends AwaitingRecord | OutboxRecord | RefusedRecord>(record: R): With<R>[] => {
      const saved = remembered.get(record.hash);
      if (saved?.raw === record.raw) return [{ ...record, saved }];
      return isIntact(record) ? [{ ...record, saved: savedOf(record) }] : [];
    };
    this.outbox = lists.outbox.flatMap(unpacked);
    this.awaiting = lists.awaiting.flatMap(unpacked);
    this.refused = lists.refused.flatMap(unpacked);
    this.tagged = lists.tagged.flatMap(unpacked);
    this.damaged = lists.damaged;
    this.photos = [...lists.photos, ...lostPhotos(lists.owing.photos, lists.photos)];
    this.standing = lists.standing;
    this.memory.overlay(this.unconfirmed());
  }

  private own(): With<SavedRecord>[] {
    return [...this.outbox, ...this.awaiting, ...this.refused, ...this.tagged];
  }

  private readLists() {
    return this.guard.run((database) => {
      const { outbox, awaiting, refused, sent, damaged, blobs, meta } = database;
      return database.transaction('r', [outbox, awaiting, refused, sent, damaged, blobs, meta], async () => ({
        outbox: await outbox.toArray(),
        awaiting: await awaiting.toArray(),
        refused: await refused.toArray(),
        tagged: await sent.where('tags').anyOf(TAGS).distinct().toArray(),
        damaged: await damaged.toArray(),
        photos: await owedOf(database),
        owing: await readOwing(database),
        standing: await readStanding(database),
      }));
    });
  }

  private laidOver(keys: Set<Key>): void {
    this.channel.post({ kind: 'changed', keys: [], lists: true });
    this.tell(keys);
  }

  private async listsChanged(): Promise<void> {
    await this.loadLists();
    this.channel.post({ kind: 'changed', keys: [], lists: true });
    this.tell(null);
  }

  private async hear(keys: Key[], lists: boolean): Promise<void> {
    await this.inTurn(async () => {
      await this.reload(keys);
      if (lists) await this.loadLists();
      this.tell(lists ? null : new Set(keys));
    }).catch(() => this.tell(null));
  }

  private tell(keys: ReadonlySet<Key> | null): void {
    for (const listener of this.listeners) listener(keys);
  }
}

function keysOf(mutations: readonly Saved[]): Set<Key> {
  return new Set(mutations.flatMap(({ mutation }) => mutation.changes.map((one) => keyOf(one.entity, one.id))));
}

function lostOf(numbers: readonly Numbered[], outbox: readonly OutboxRecord[]): Numbered[] {
  const here = new Set(outbox.map(({ lane, n }) => `${lane},${n}`));
  return numbers.filter((one) => !here.has(String(one)));
}

/** What is owed and not here at all is as good as spoilt. */
function lostPhotos(owed: readonly string[], here: readonly OwedPhoto[]): OwedPhoto[] {
  const known = new Set(here.map(({ sha256 }) => sha256));
  return owed.filter((sha256) => !known.has(sha256)).map((sha256) => ({ sha256, size: 0, state: 'spoilt' }));
}

/** What was written on this device would be lost by enrolling it anew. */
export class UnsentWork extends Error {}

/** Throws UnsentWork while this device holds words or photos that nobody else has, or a loss that nobody saw. */
async function checkSent(database: Database): Promise<void> {
  const { outbox, refused, damaged } = database;
  if (await outbox.count()) throw new UnsentWork('outbox');
  if (await damaged.count()) throw new UnsentWork('damaged');
  if (await refused.count()) throw new UnsentWork('refused');
  if ((await owedOf(database)).length) throw new UnsentWork('photos');
}

async function beginAnew(database: Database, values: Record<string, unknown>): Promise<void> {
  const records = Object.entries(values).map(([key, value]) => ({ key, value }));
  await database.transaction('rw', database.tables, async () => {
    await checkSent(database);
    for (const table of database.tables) await table.clear();
    await database.meta.bulkPut(records);
  });
}
