/** One device's memory on disk: what was saved is on disk, what is read comes from memory. */

import type { Cursors, Row, SyncReply } from '../core/contract.ts';
import type { Saved } from '../core/outbox.ts';
import { Refusal } from '../core/mutation.ts';
import { savedOf } from '../core/replica.ts';
import { keyOf, type Key } from '../core/rows.ts';
import { NO_CHANNEL, type TabChannel } from './channel.ts';
import { openAll } from './codec.ts';
import { BlobShelf } from './blobs.ts';
import {
  Database,
  type AwaitingRecord,
  type DatabaseOptions,
  type OutboxRecord,
  type RefusedRecord,
  type RowRecord,
} from './database.ts';
import { DraftShelf } from './drafts.ts';
import { Guard } from './guard.ts';
import { Memory } from './memory.ts';
import { saveMutations, type SaveRequest, type SaveResult } from './save.ts';
import { takeReply } from './take.ts';

export interface StoreOptions extends DatabaseOptions {
  name: string;
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
  private readonly database: Database;
  private readonly guard: Guard;
  private readonly channel: TabChannel;
  private readonly listeners = new Set<(keys: ReadonlySet<Key> | null) => void>();
  private last: Promise<unknown> = Promise.resolve();

  private constructor(options: StoreOptions) {
    const { name, channel = NO_CHANNEL, ...factory } = options;
    this.database = new Database(name, factory);
    this.guard = new Guard(this.database, () => this.tell(null));
    this.blobs = new BlobShelf(this.guard);
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

  /** Takes an answer of the centre; on disk and in memory when it resolves. The keys of rows that changed. */
  async take(reply: SyncReply): Promise<ReadonlySet<Key>> {
    return this.inTurn(async () => {
      const taken = await this.guard.run((database) => takeReply(database, reply));
      await this.remember(taken.rows);
      const before = keysOf(this.unconfirmed());
      if (taken.lists) await this.loadLists();
      const keys = new Set([...taken.rows.keys(), ...(taken.lists ? before : [])]);
      this.channel.post({ kind: 'changed', keys: [...taken.rows.keys()], lists: taken.lists });
      if (keys.size || taken.lists) this.tell(keys);
      return new Set(taken.rows.keys());
    });
  }

  /** A person has seen the refusal: its words go. */
  async dismiss(lane: number, n: number): Promise<void> {
    await this.inTurn(async () => {
      await this.guard.run((database) => database.refused.delete([lane, n]));
      await this.listsChanged();
    });
  }

  /** The log of the centre is another one: rows stay until it tells them anew, and sent work is offered again. */
  async newEpoch(identity: object): Promise<void> {
    await this.inTurn(async () => {
      await this.guard.run((database) => startOver(database, identity));
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
    return [...this.awaiting, ...this.outbox].map((one) => one.saved);
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
    this.memory.clear();
    for (let at = 0; at < keys.length; at += LOAD_ROWS_MAX) await this.reload(keys.slice(at, at + LOAD_ROWS_MAX));
    await this.loadLists();
    await this.drafts.load();
    this.tell(null);
  }

  private async reload(keys: Key[]): Promise<void> {
    const records = await this.guard.run((database) => database.rows.bulkGet(keys));
    await this.remember(new Map(keys.map((key, i) => [key, records[i] ?? null])));
  }

  private async remember(records: ReadonlyMap<Key, RowRecord | null>): Promise<void> {
    const kept = [...records.values()].filter((record) => record !== null);
    const rows: Row[] = await openAll(kept.map((record) => record.body));
    for (const [key, record] of records) if (record === null) this.memory.confirm(key, null);
    for (const row of rows) this.memory.confirm(keyOf(row.entity, row.id), row);
  }

  private async loadLists(): Promise<void> {
    const lists = await this.guard.run((database) =>
      database.transaction('r', [database.outbox, database.awaiting, database.refused], () =>
        Promise.all([database.outbox.toArray(), database.awaiting.toArray(), database.refused.toArray()]),
      ),
    );
    const known = new Map([...this.outbox, ...this.awaiting, ...this.refused].map(({ saved }) => [saved.hash, saved]));
    const unpacked = <R extends { raw: string; hash: string }>(record: R): With<R> => ({
      ...record,
      saved: known.get(record.hash) ?? savedOf(record),
    });
    this.outbox = lists[0].map(unpacked);
    this.awaiting = lists[1].map(unpacked);
    this.refused = lists[2].map(unpacked);
    this.memory.overlay(bySaving(this.unconfirmed()));
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

/** Own edits of one row lie on each other in the order in which they were made, whatever lane they travel in. */
function bySaving(mutations: Saved[]): Saved[] {
  const stampOf = (one: Saved): string => one.mutation.stamp;
  return mutations.sort((a, b) => (stampOf(a) < stampOf(b) ? -1 : stampOf(a) > stampOf(b) ? 1 : 0));
}

/** What was written on this device would be lost by enrolling it anew. */
export class UnsentWork extends Error {}

/** Throws UnsentWork while this device holds words or photos that nobody else has, or a refusal that nobody saw. */
async function checkSent({ outbox, refused, blobs }: Database): Promise<void> {
  if (await outbox.count()) throw new UnsentWork('outbox');
  if (await refused.count()) throw new UnsentWork('refused');
  if (await blobs.where('state').equals('waiting').count()) throw new UnsentWork('photos');
}

async function beginAnew(database: Database, values: Record<string, unknown>): Promise<void> {
  const records = Object.entries(values).map(([key, value]) => ({ key, value }));
  await database.transaction('rw', database.tables, async () => {
    await checkSent(database);
    for (const table of database.tables) await table.clear();
    await database.meta.bulkPut(records);
  });
}

/** Cursors and staged pages go; what waits for its rows is offered again; any row of the new log replaces a held one. */
async function startOver(database: Database, identity: object): Promise<void> {
  const { rows, outbox, awaiting, staged, meta } = database;
  await database.transaction('rw', [rows, outbox, awaiting, staged, meta], async () => {
    await meta.bulkPut([
      { key: 'identity', value: identity },
      { key: 'cursors', value: {} },
    ]);
    await staged.clear();
    await rows.toCollection().modify({ seq: 0 });
    const again = await awaiting.toArray();
    await awaiting.clear();
    await outbox.bulkPut(again.map(({ seq: _seq, arrived: _arrived, ...saved }) => ({ ...saved, held: null })));
  });
}
