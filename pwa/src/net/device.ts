/** The facade of everything below the screens: rows, writing, photos, outbox, status. */

import type { Change, Row } from '../core/contract.ts';
import { dotOf, splitDot } from '../core/mutation.ts';
import { byMaking, dotOfSaved, type Saved } from '../core/outbox.ts';
import { basesOf } from '../core/replica.ts';
import { keyOf, photosNamed } from '../core/rows.ts';
import { ENTITIES, ENTITY_NAMES, type EntityName } from '../core/entities.ts';
import { TAGS, type Code, type IntentName } from '../core/intents.ts';
import type { OwedPhoto } from '../store/blobs.ts';
import type { TabChannel } from '../store/channel.ts';
import { Store } from '../store/store.ts';
import { Api } from './api.ts';
import { CorrectedClock } from './clock.ts';
import { enrolDevice, type Credentials } from './enrol.ts';
import { exportFile, type UnsentPhoto } from './export.ts';
import { newId } from './ids.ts';
import { publicText, signText } from './keys.ts';
import { sendLate } from './late.ts';
import { preparePhoto } from './photo.ts';
import { browserPorts, type Ports } from './ports.ts';
import type { Sign } from './request.ts';
import type { DamagedItem, DeviceStatus, Identity, OutboxItem, Photo, PhotoItem, PhotoState } from './types.ts';
import type { Receipt, RefusedItem, Restored, WriteOptions } from './types.ts';
import { fetchPhoto } from './upload.ts';
import { Work } from './work.ts';

export type * from './types.ts';

export interface DeviceOptions {
  /** Name of the database, the lock and the channel; one per installation. */
  name?: string;
  /** Tells the centre which app speaks. */
  app?: string;
  ports?: Ports;
}

/** One device. Every read is from memory; every write resolves once it is on disk. */
export class Device {
  private enrolled: Identity | null = null;
  private shown: Identity | null = null;
  private credentials: Credentials | null = null;
  private readonly ports: Ports;
  private readonly app: string;
  private readonly store: Store;
  private readonly api: Api;
  private readonly clock: CorrectedClock;
  private readonly work: Work;
  private readonly listeners = new Set<() => void>();
  private telling = false;

  private constructor(parts: { ports: Ports; app: string; name: string; store: Store; channel: TabChannel }) {
    this.ports = parts.ports;
    this.app = parts.app;
    this.store = parts.store;
    this.api = new Api(this.ports);
    this.clock = new CorrectedClock(this.ports, 0);
    this.work = new Work({
      ...parts,
      api: this.api,
      clock: this.clock,
      identity: () => this.enrolled,
      credentials: () => this.credentials,
      adopt: (identity) => (this.enrolled = identity),
      newId: () => this.newId(),
      changed: () => this.changed(),
    });
  }

  /** The device as it was left: rows, outbox and identity from disk, syncing begun if it is enrolled. */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    const { name = 'lingda', app = 'lingda-pwa', ports = browserPorts() } = options;
    const channel = ports.channel(name);
    const store = await Store.open({ name, channel, now: ports.now, ...ports.database });
    const device = new Device({ ports, app, name, store, channel });
    await device.recall();
    store.onChange(() => device.changed());
    channel.listen((message) => {
      if (message.kind === 'all')
        void device.recall().then(
          () => device.work.restart(),
          () => device.changed(),
        );
    });
    device.work.start();
    void store.blobs.sweep(ports.now()).catch(() => undefined); // The next start sweeps again.
    return device;
  }

  /** Who this device is for, as the register knows them now: who moves to another unit works for that one. */
  get identity(): Identity | null {
    const own = this.enrolled;
    const person = own && this.row('person', own.actor);
    const unit = (person?.fields.unit as string | null | undefined) ?? own?.unit;
    if (!own || unit === undefined || unit === own.unit) return own;
    const unitName = (this.row('unit', unit)?.fields.name as string | undefined) ?? unit;
    const { shown } = this;
    const same = shown?.unit === unit && shown.unitName === unitName && shown.epoch === own.epoch;
    if (!same || shown.replica !== own.replica) this.shown = { ...own, unit, unitName };
    return this.shown;
  }

  /** Identity and clock from disk, at the start and after another tab enrolled. */
  private async recall(): Promise<void> {
    this.enrolled = await this.store.read<Identity | null>('identity', null);
    this.credentials = await this.store.read<Credentials | null>('credentials', null);
    this.clock.restore(await this.store.read<unknown>('offset', 0));
    this.api.token = this.credentials?.token ?? null;
    await this.work.recall();
    this.changed();
  }

  /**
   * Makes this device a replica. Throws ProblemError with the code's fault, Unreachable without the centre,
   * UnsentWork when it already is one that holds unsent words or photos, or a refusal that nobody has seen.
   */
  async enrol(code: string, deviceName: string): Promise<Identity> {
    const { ports, api, store, clock, app } = this;
    await enrolDevice({ ports, api, store, clock, app }, code, deviceName);
    await this.recall();
    this.work.restart();
    return this.identity!;
  }

  /** All rows of an entity, unconfirmed ones among them, in the order of their creation. */
  rows(entity: EntityName): Row[] {
    return this.store.memory.rows(entity);
  }

  row(entity: EntityName, id: string): Row | null {
    return this.store.memory.view(keyOf(entity, id));
  }

  children(entity: EntityName, parent: string): Row[] {
    return this.store.memory.children(entity, parent);
  }

  /** Saves a mutation and resolves with its dot once it is on disk. Throws a Refusal that any server would give. */
  async write(intent: IntentName, changes: Change[], options: WriteOptions = {}): Promise<string> {
    return (await this.save(intent, changes, options, null))!;
  }

  /** As `write`, but only the first with this key is made, in whichever tab; null for all others. */
  writeOnce(key: string, intent: IntentName, changes: Change[]): Promise<string | null> {
    return this.save(intent, changes, {}, key);
  }

  private async save(
    intent: IntentName,
    changes: Change[],
    options: WriteOptions,
    once: string | null,
  ): Promise<string | null> {
    const base = options.base ?? basesOf(changes, (key) => this.store.memory.view(key));
    const guard = (options.guard ?? []).map((one) => ({ field: null, value: null, ...one }));
    const meant = { intent, changes, base, after: options.after ?? [], guard };
    const photos = photosOf(changes).map((photo) => photo.sha256);
    const saved = await this.store.save({ meant, nowMs: this.now(), ticket: this.newId(), photos, once });
    if (!saved) return null;
    this.work.wrote(saved.lane);
    return dotOfSaved(saved);
  }

  newId(): string {
    return newId(this.now(), this.ports);
  }

  /** Corrected time, ms since 1970. */
  now(): number {
    return this.clock.now();
  }

  /** The photo as a `photos` field takes it; its bytes are on disk, and follow the row that will name it. */
  async attachPhoto(file: Blob): Promise<Photo> {
    const { photo, blob } = await preparePhoto(this.ports, file);
    const { sha256, size, type } = photo;
    await this.store.blobs.add({ sha256, blob, size, type, state: 'draft', upload: null, at: this.ports.now() });
    return photo;
  }

  /** Keeps an unfinished form: in memory at once, on disk when it resolves. Photos that it names stay here. */
  keepDraft(name: string, value: unknown): Promise<void> {
    return this.store.keepDraft(name, value);
  }

  /** The unfinished form of this name, as it was kept last; a copy. */
  draft<T>(name: string): T | null {
    return this.store.draft<T>(name);
  }

  dropDraft(name: string): Promise<void> {
    return this.store.keepDraft(name, null);
  }

  /** The bytes from here or from the centre; null when they are in neither place, or out of reach. */
  async photo(sha256: string): Promise<Blob | null> {
    const here = await this.store.blobs.get(sha256);
    const { ports, api, store } = this;
    return here?.blob ?? fetchPhoto({ ports, api, store }, sha256);
  }

  /** How a photo of own words stands while the centre does not have it in full; null for any other. */
  photoState(sha256: string): PhotoState | null {
    const owed = this.store.photos.find((one) => one.sha256 === sha256);
    if (owed) return owed.state;
    return this.store.outbox.some(({ photos }) => photos.includes(sha256)) ? 'waiting' : null;
  }

  /** What the centre lacks of words that it has. */
  photosOwed(): PhotoItem[] {
    return this.settledPhotos().map((one) => ({ ...one, row: this.naming(one.sha256) }));
  }

  /** The person has seen that the centre will not have this photo; it leaves this device. */
  async dismissPhoto(sha256: string): Promise<void> {
    await this.store.blobs.dismiss(sha256);
  }

  /** Those of words still unsettled come with their words. */
  private settledPhotos(): OwedPhoto[] {
    const { outbox, photos } = this.store;
    const unsettled = new Set(outbox.filter((one) => one.held === null).flatMap((one) => one.photos));
    return photos.filter(({ state, sha256 }) => state !== 'waiting' || !unsettled.has(sha256));
  }

  private naming(sha256: string): Row | null {
    const names = (row: Row): boolean => photosNamed(row.entity, row.fields).some((photo) => photo.sha256 === sha256);
    return WITH_PHOTOS.flatMap((entity) => this.rows(entity)).find(names) ?? null;
  }

  /** What the centre has not settled, in the order in which it was saved. */
  outbox(): OutboxItem[] {
    return byMaking(this.store.outbox).map((one): OutboxItem => ({
      dot: dotOfSaved(one.saved),
      lane: one.lane,
      intent: one.saved.mutation.intent as IntentName,
      at: one.at,
      hash: one.hash,
      photoBytes: photosOf(one.saved.mutation.changes).reduce((sum, photo) => sum + photo.size, 0),
      state: one.held === null ? 'saved' : 'held',
      mutation: one.saved.mutation,
    }));
  }

  /** What the ticks beside a row (`entity/id`) may say, of what this device wrote; nothing of others' rows. */
  receiptOf(rowKey: string): Receipt {
    const touches = ({ saved }: { saved: Saved }): boolean =>
      saved.mutation.changes.some((change) => keyOf(change.entity, change.id) === rowKey);
    const taken = [...this.store.tagged, ...this.store.awaiting].filter(touches).flatMap((one) => one.tags);
    const tags = TAGS.filter((tag) => taken.includes(tag));
    if (this.store.outbox.some(touches)) return { saved: true, arrived: null, tags };
    const awaited = this.store.awaiting.filter(touches).pop();
    const told = this.store.memory.confirmedRow(rowKey);
    const row = told && isOf(told, this.identity?.replica ?? '') ? told : null;
    return { saved: Boolean(awaited ?? row), arrived: awaited?.arrived ?? row?.arrived ?? null, tags };
  }

  refused(): RefusedItem[] {
    return this.store.refused.map((one): RefusedItem => ({
      dot: dotOfSaved(one.saved),
      verdict: one.verdict.verdict === 'quarantined' ? 'quarantined' : 'refused',
      code: one.verdict.code as Code | null,
      detail: one.verdict.detail,
      tags: TAGS.filter((tag) => one.verdict.tags?.includes(tag)),
      at: one.at,
      mutation: one.saved.mutation,
    }));
  }

  /** The person has seen the refusal; its words leave this device. */
  async dismiss(dot: string): Promise<void> {
    const [, lane, n] = splitDot(dot);
    await this.store.dismiss(lane, n);
  }

  /** What the disk has spoilt or lost of own words, the newest find last. */
  damaged(): DamagedItem[] {
    return this.store.damaged.map(({ id, lane, n, found, refused, record }): DamagedItem => ({
      id: id!,
      dot: dotOf(this.identity?.replica ?? '', lane, n),
      lane,
      n,
      text: record && (typeof record.raw === 'string' ? record.raw : JSON.stringify(record)),
      at: record && Number.isSafeInteger(record.at) ? record.at : null,
      found,
      refused,
    }));
  }

  /** The person has seen what is left of the words; it leaves this device. */
  async dismissDamaged(id: number): Promise<void> {
    await this.store.dismissDamaged(id);
  }

  /**
   * The centre does not take this device's sign-in any more: what waits is given to it all the same, and a person there
   * judges each. Throws Unreachable or ProblemError, and then the rest still waits. Null identity: throws.
   */
  async sendLate(): Promise<void> {
    const { api, store } = this;
    await sendLate({ api, store, ...(await this.signing()) });
  }

  /** A file with what has not reached the centre, signed, with neither token nor key. Null identity: throws. */
  async exportUnsent(): Promise<Blob> {
    const signing = await this.signing();
    const unsent = this.store.outbox.map((one) => one.saved);
    const photos = await this.unsentPhotos(unsent);
    return exportFile({ ...signing, unsent, photos, damaged: this.store.damaged, now: this.now() });
  }

  /** Who speaks, and with which key. */
  private async signing(): Promise<{ identity: Identity; publicKey: string; sign: Sign }> {
    const { identity, credentials, ports } = this;
    if (!identity || !credentials) throw new Error('not enrolled');
    const publicKey = await publicText(ports, credentials.keys);
    return { identity, publicKey, sign: (text) => signText(ports, credentials.keys, text) };
  }

  /** What waits on disk or was refused, and what unsent words name; only names when the disk is out of reach. */
  private async unsentPhotos(unsent: readonly Saved[]): Promise<UnsentPhoto[]> {
    const here: UnsentPhoto[] = await this.store.blobs.owed().catch(() => []);
    const known = new Set(here.map((one) => one.sha256));
    const named = unsent.flatMap((saved) => photosOf(saved.mutation.changes));
    const others = new Map(named.filter(({ sha256 }) => !known.has(sha256)).map((photo) => [photo.sha256, photo]));
    return [...here, ...[...others.values()].map(({ sha256, size, type }) => ({ sha256, size, type, blob: null }))];
  }

  get status(): DeviceStatus {
    const { leading, shared } = this.work;
    const photos = this.settledPhotos();
    const waiting = photos.filter(({ state }) => state === 'waiting');
    const age = shared.heardAt === null ? null : Math.max(0, this.ports.now() - shared.heardAt);
    return {
      online: this.work.online(),
      heartbeatAge: age,
      syncing: shared.syncing,
      waiting: this.store.outbox.length,
      photosWaiting: waiting.length,
      photoBytesWaiting: waiting.reduce((sum, { size }) => sum + size, 0),
      photosFailed: photos.filter(({ state }) => state === 'failed').length,
      photosSpoilt: photos.filter(({ state }) => state === 'spoilt').length,
      lastSync: shared.lastSync,
      leader: leading,
      behind: shared.behind,
      damaged: this.store.damaged.length,
      repairs: this.repairs(),
      restored: this.restored(),
      storeLost: this.store.lost,
      updateNeeded: this.store.outdated || shared.updateNeeded,
      problem: shared.problem,
      secure: this.ports.secure,
    };
  }

  private repairs(): number {
    const { bad, repairs } = this.store.standing;
    return new Set([...bad, ...Object.keys(repairs)]).size;
  }

  private restored(): Restored | null {
    const { outbox, standing } = this.store;
    const own = outbox.filter((one) => one.again).length;
    const [orders, rows] = [standing.offers.length, standing.unseen.length];
    return own + orders + rows ? { own, orders, rows } : null;
  }

  /** Calls back after any change, at most once per frame. The answer ends it. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  syncNow(): void {
    this.work.syncNow();
  }

  /** Ends all work in this tab; what is on disk stays. */
  close(): void {
    this.work.stop();
    this.store.close();
  }

  private changed(): void {
    if (this.telling) return;
    this.telling = true;
    this.ports.frame(() => {
      this.telling = false;
      for (const listener of this.listeners) listener();
    });
  }
}

const WITH_PHOTOS = ENTITY_NAMES.filter((entity) =>
  Object.values(ENTITIES[entity]!.fields).some(({ kind }) => kind === 'photos'),
);

/** True when this replica wrote the row, or a field of it that still stands. */
function isOf(row: Row, replica: string): boolean {
  const dots = [row.dot, ...Object.values(row.writes).flatMap((write) => write.slice(1))];
  return dots.some((dot) => dot.startsWith(`${replica}/`));
}

/** The photos that changes name, in fields that hold photos. */
function photosOf(changes: readonly Change[]): Photo[] {
  return changes.flatMap(({ entity, fields }) => photosNamed(entity, fields) as Photo[]);
}
