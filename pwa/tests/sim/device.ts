/** One device of the simulation: the real store in two tabs on one disk, the real requests, and a clock that is set. */

import { IDBFactory, IDBKeyRange, IDBObjectStore } from 'fake-indexeddb';
import { PULL_BYTES_MAX, PUSH_BYTES_MAX, type Change } from '../../src/core/contract.ts';
import { dotOfSaved } from '../../src/core/outbox.ts';
import { basesOf } from '../../src/core/replica.ts';
import { Api, Unreachable } from '../../src/net/api.ts';
import { CorrectedClock } from '../../src/net/clock.ts';
import { gunzipInBrowser } from '../../src/net/ports.ts';
import { fitting, syncBody } from '../../src/net/request.ts';
import { syncReplyOf } from '../../src/net/shape.ts';
import { Snapshots } from '../../src/net/snapshots.ts';
import type { Identity } from '../../src/net/types.ts';
import type { SaveRequest } from '../../src/store/save.ts';
import { Store } from '../../src/store/store.ts';
import type { Asked } from '../../src/store/take.ts';
import { Tabs, databaseOf } from '../store/world.ts';
import { imageOf, type Image } from './disk.ts';
import { Look, type Seen } from './look.ts';

/** What only the scheduler has: keys, and a way to the centre. */
export interface Outside {
  sign(text: string): Promise<string>;
  /** The bytes of a part of a snapshot as base64; null when they do not come. */
  part(sha256: string): Promise<string | null>;
}

const TABS = 2;
/** Transactions that took an answer and may be in memory only when the power goes. */
const UNFLUSHED_MAX = 3;

interface Tab {
  store: Store;
  /** A mutation that the centre holds is offered once after each start, as the app does. */
  offersHeld: boolean;
}

export interface Told {
  taken: boolean;
  offset: number;
}

export class SimDevice {
  private factory = new IDBFactory();
  private channels = new Tabs();
  private tabs: Tab[] = [];
  private turn = 0;
  private nowMs = 0;
  private tickets = 0;
  private readonly asked: Asked[] = [];
  private images: Image[] = [];
  private readonly clock = new CorrectedClock({ now: () => this.nowMs }, 0);
  private readonly look = new Look();

  private constructor(
    private readonly identity: Identity,
    private readonly outside: Outside,
  ) {}

  static async enrolled(identity: Identity, offset: number, outside: Outside): Promise<SimDevice> {
    const device = new SimDevice(identity, outside);
    await device.start();
    await device.tab().store.enrolled({ identity, offset });
    await device.settle();
    device.clock.restore(offset);
    device.flush();
    return device;
  }

  get offset(): number {
    return this.clock.offsetMs;
  }

  get unflushed(): number {
    return this.images.length - 1;
  }

  /** The exact text that will travel, once it is on disk. */
  async write(intent: string, changes: Change[], nowMs: number): Promise<string> {
    const saved = await this.tab().store.save(this.saving(intent, changes, nowMs));
    this.flush();
    return saved!.raw;
  }

  /** The disk has no room. True when the save says so. */
  async writeWithoutRoom(intent: string, changes: Change[], nowMs: number): Promise<boolean> {
    const request = this.saving(intent, changes, nowMs);
    const mend = fillDisk();
    try {
      await this.tab().store.save(request);
      return false;
    } catch (error) {
      if ((error as Error).name !== 'StoreFull') throw error;
      return true;
    } finally {
      mend();
    }
  }

  private saving(intent: string, changes: Change[], nowMs: number): SaveRequest {
    this.nowMs = nowMs;
    const { memory } = this.tab().store;
    const base = basesOf(changes, (key) => memory.view(key));
    const meant = { intent, changes, base, after: [], guard: [] };
    return { meant, nowMs: this.clock.now(), ticket: String(++this.tickets), photos: [], once: null };
  }

  /** The body of a sync; its `app` says by which number the answer finds what was asked. */
  async request(nowMs: number): Promise<string> {
    this.nowMs = nowMs;
    const { store, offersHeld } = this.nextTab();
    await store.recheck(() => Promise.resolve());
    const waiting = store.outbox.filter((one) => one.held === null || offersHeld).map((one) => one.saved);
    const sending = await store.intact(fitting(waiting, PUSH_BYTES_MAX / 2));
    const asking = await store.asking(null, PUSH_BYTES_MAX / 8);
    this.asked.push(asking.asked);
    const oldest = store.outbox.reduce<number | null>((least, { at }) => Math.min(least ?? at, at), null);
    const request = {
      identity: this.identity,
      asking,
      sending: asking.wordsWait ? [] : sending,
      waiting: { count: store.outbox.length, oldest },
      lanes: null,
      maxBytes: PULL_BYTES_MAX,
      clock: nowMs,
      app: `sim/${this.asked.length - 1}`,
    };
    return syncBody(request, (text) => this.outside.sign(text));
  }

  /** Takes an answer, and the snapshots that it offers. */
  async receive(text: string, number: number, [sentMs, nowMs]: [number, number]): Promise<Told> {
    this.nowMs = nowMs;
    const tab = this.nextTab();
    const { store } = tab;
    let reply;
    try {
      reply = syncReplyOf(text, this.identity.centre);
    } catch (error) {
      if (error instanceof Unreachable) return { taken: false, offset: this.offset };
      throw error;
    }
    if (this.clock.measure(sentMs, reply.now)) await store.write({ offset: this.offset });
    const told = await store.take(reply, this.asked[number]!);
    this.keepImage();
    if (told.clockAhead && this.clock.reset(sentMs, nowMs, reply.now)) await store.write({ offset: this.offset });
    if (!told.identity) {
      tab.offersHeld = false;
      await this.fetch(store, reply.snapshots);
    }
    return { taken: true, offset: this.offset };
  }

  private async fetch(store: Store, snapshots: Parameters<Snapshots['fetch']>[0]): Promise<void> {
    if (!snapshots.length) return;
    const ports = {
      now: () => this.nowMs,
      later: () => () => undefined,
      fetch: async (path: string) => new Response(await this.bytes(path.split('/').pop()!)),
    };
    const parts = { ports: { subtle: crypto.subtle, gunzip: gunzipInBrowser }, api: new Api(ports), store };
    try {
      await new Snapshots(parts).fetch(snapshots);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
    this.keepImage();
  }

  private async bytes(sha256: string): Promise<Uint8Array<ArrayBuffer>> {
    const found = await this.outside.part(sha256);
    if (found === null) throw new Error('nothing came');
    return Uint8Array.from(Buffer.from(found, 'base64'));
  }

  /** The power goes, and with it the last `lost` transactions that were not flushed. */
  async crash(lost: number): Promise<void> {
    const kept = this.images.slice(0, Math.max(1, this.images.length - lost));
    this.stop();
    if (kept.length < this.images.length) {
      this.factory = new IDBFactory();
      await this.start();
      await this.fill(kept[kept.length - 1]!);
      this.stop();
    }
    await this.start();
    this.images = kept;
    this.clock.restore(await this.tab().store.read<unknown>('offset', 0));
  }

  /** A bit of an outbox record flips. Its dot; null when there is none. */
  async corrupt(pick: number): Promise<string | null> {
    const { store } = this.tab();
    const { outbox } = store;
    if (!outbox.length) return null;
    const { lane, n, raw, saved } = outbox[pick % outbox.length]!;
    const at = pick % raw.length;
    const spoilt = raw.slice(0, at) + String.fromCharCode(raw.charCodeAt(at) ^ (1 << (pick % 7))) + raw.slice(at + 1);
    await databaseOf(store).outbox.update([lane, n], { raw: spoilt });
    this.flush();
    if (pick % 2) await this.crash(0);
    return dotOfSaved(saved);
  }

  /** A stored row is not what it was any more, and nobody knows. Its key. */
  async spoil(pick: number): Promise<string | null> {
    const { rows } = databaseOf(this.tab().store);
    const named = (await rows.orderBy('key').toArray()).filter(({ body }) => 'name' in body.fields);
    if (!named.length) return null;
    const { key, body } = named[pick % named.length]!;
    await rows.update(key, { body: { ...body, fields: { ...body.fields, name: 'spoilt' } } });
    this.look.spoilt.add(key);
    this.flush();
    if (pick % 2) await this.crash(0);
    return key;
  }

  /** Every pair is compared with the bytes on the disk; what the centre holds is offered again, as at each start. */
  async recheckAll(): Promise<void> {
    for (const tab of this.tabs) tab.offersHeld = true;
    const { store } = this.tab();
    for (let left = Object.keys(store.standing.sums).length; left > 0; left--) {
      await store.recheck(() => Promise.resolve());
    }
  }

  /** What lies on the disk now, as far as it was not told before. */
  seen(): Seen {
    const stores = this.tabs.map(({ store }) => store);
    return this.look.at(this.image(), stores);
  }

  /** The rows of an entity as a screen shows them. */
  shown(entity: string): unknown[] {
    return this.tab().store.memory.rows(entity);
  }

  /** Everything that is under way in any tab has ended, and each tab has heard of it. */
  async settle(): Promise<void> {
    for (let round = 0; round < TABS + 1; round++) {
      for (const { store } of this.tabs) await store.caughtUp();
    }
  }

  stop(): void {
    for (const { store } of this.tabs) store.close();
    this.tabs = [];
  }

  private tab(): Tab {
    return this.tabs[this.turn % TABS]!;
  }

  /** Now the other tab is in front. */
  private nextTab(): Tab {
    this.turn++;
    return this.tab();
  }

  private async start(): Promise<void> {
    this.channels = new Tabs();
    while (this.tabs.length < TABS) {
      const store = await Store.open({
        name: this.identity.replica,
        channel: this.channels.channel(),
        now: () => this.nowMs,
        indexedDB: this.factory as unknown as globalThis.IDBFactory,
        IDBKeyRange: IDBKeyRange as unknown as typeof globalThis.IDBKeyRange,
      });
      this.tabs.push({ store, offersHeld: true });
    }
    await this.settle();
  }

  /** A strict commit: everything before it is on the disk too. */
  private flush(): void {
    this.images = [this.image()];
  }

  private keepImage(): void {
    this.images = [...this.images, this.image()].slice(-UNFLUSHED_MAX - 1);
  }

  private image(): Image {
    return imageOf(this.factory, this.identity.replica);
  }

  private async fill(image: Image): Promise<void> {
    const database = databaseOf(this.tab().store);
    await database.transaction('rw', database.tables, async () => {
      for (const table of database.tables) {
        await table.clear();
        await table.bulkPut(image.get(table.name)!);
      }
    });
  }
}

/** Nothing can be put down any more; the answer makes room again. */
function fillDisk(): () => void {
  const stored = IDBObjectStore.prototype;
  const { add, put } = stored;
  stored.add = stored.put = () => {
    throw new DOMException('full', 'QuotaExceededError');
  };
  return () => Object.assign(stored, { add, put });
}
