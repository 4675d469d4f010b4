/** What goes on behind the screens of one tab: leading or following, syncing, the open line, receipts, uploads. */

import { PROTOCOL_VERSION } from '../core/contract.ts';
import type { Saved } from '../core/outbox.ts';
import type { Key } from '../core/rows.ts';
import type { Code } from '../core/intents.ts';
import type { TabChannel } from '../store/channel.ts';
import type { Store } from '../store/store.ts';
import { ProblemError, Unreachable, type Api } from './api.ts';
import type { CorrectedClock } from './clock.ts';
import { Connection, type SharedStatus } from './connection.ts';
import type { Credentials } from './enrol.ts';
import { signText } from './keys.ts';
import { Leader } from './leader.ts';
import { Live, SILENCE_MS_MAX } from './live.ts';
import type { Ports } from './ports.ts';
import { Receipts, isRoutineReceipt } from './receipts.ts';
import { SyncLoop } from './sync.ts';
import { troubleOf, type Trouble } from './trouble.ts';
import type { Identity } from './types.ts';
import { Uploader } from './upload.ts';
import { Watchdog } from './watchdog.ts';

/** How long after a sync the disk is looked through, one pair each time. */
export const RECHECK_MS = 60_000;
/**
 * Each device draws how long its receipts of routine orders wait, up to this, so that a thousand phones do not answer
 * at once.
 */
const ROUTINE_RECEIPT_MS_MAX = 2_000;
const UPDATE_CODES: ReadonlySet<Code> = new Set(['protocol']);

export interface WorkParts {
  ports: Ports;
  name: string;
  app: string;
  store: Store;
  channel: TabChannel;
  api: Api;
  clock: CorrectedClock;
  identity: () => Identity | null;
  credentials: () => Credentials | null;
  adopt: (identity: Identity) => void;
  newId: () => string;
  changed: () => void;
}

export class Work {
  private readonly parts: WorkParts;
  private readonly leader: Leader;
  private readonly connection: Connection;
  private readonly sync: SyncLoop;
  private readonly live: Live;
  private readonly uploader: Uploader;
  private readonly watchdog: Watchdog;
  private cancelRecheck: (() => void) | null = null;
  private readonly receipts: Receipts;
  /** The leading tab's words, while another one leads. */
  private told: SharedStatus | null = null;
  private updateNeeded = false;
  /** Why receipts could not be written; all are looked for again after the next answer. */
  private unreceipted: Trouble | null = null;
  private readonly spreadMs: number;
  private unlisten: (() => void)[] = [];

  constructor(parts: WorkParts) {
    this.parts = parts;
    const { ports, api, store, clock, app, identity, newId } = parts;
    const changed = (): void => this.changed();
    this.spreadMs = Math.floor(ports.random() * ROUTINE_RECEIPT_MS_MAX);
    this.leader = new Leader(ports, `${parts.name}-sync`);
    this.connection = new Connection(ports, changed);
    const restMs = (saved: Saved, at: number): number => this.restMs(saved, at);
    this.uploader = new Uploader({ ports, api, store, restMs, again: () => this.upload() });
    this.receipts = new Receipts({ store, identity, now: () => clock.now(), newId });
    this.live = new Live({
      ports,
      hello: () => this.hello(),
      moved: (scope, lane, seq) => void this.moved(scope, lane, seq),
      heard: () => this.connection.heard(),
      changed,
    });
    this.sync = new SyncLoop({
      ...{ ports, api, store, clock, app, identity, changed, restMs },
      sign: (text) => this.sign(text),
      live: () => this.live.up,
      taken: (keys) => this.taken(keys),
      moved: (epoch) => parts.adopt({ ...identity()!, epoch }),
      wants: (protocol) => this.noteWanted(protocol),
      failed: (error) => this.failed(error),
      synced: () => this.synced(),
    });
    this.watchdog = new Watchdog({
      ports,
      up: () => this.live.up,
      waiting: () => store.outbox.filter((one) => one.held === null).map((one) => one.hash),
      stalled: () => this.stalled(),
    });
    api.onAnswer = () => this.connection.heard();
  }

  get leading(): boolean {
    return this.leader.leading;
  }

  /** What screens show of the connection: this tab's own words while it leads, else the leading tab's. */
  get shared(): SharedStatus {
    if (!this.leading && this.told) return this.told;
    return {
      heardAt: this.connection.heardAt,
      failed: this.connection.failed,
      syncing: this.sync.syncing,
      lastSync: this.sync.lastSync,
      behind: this.sync.behind,
      problem: this.sync.problem ?? this.unreceipted,
      updateNeeded: this.updateNeeded,
    };
  }

  online(): boolean {
    const { heardAt, failed } = this.shared;
    return heardAt !== null && !failed && this.parts.ports.now() - heardAt <= SILENCE_MS_MAX;
  }

  /** When this device last was whole, from disk. */
  async recall(): Promise<void> {
    const { store } = this.parts;
    const lastSync = await store.read<unknown>('lastSync', null);
    this.sync.lastSync = Number.isSafeInteger(lastSync) ? (lastSync as number) : null;
    this.sync.revoked = (await store.read<unknown>('revoked', false)) === true;
  }

  start(): void {
    const { ports, channel, store } = this.parts;
    channel.listen((message) => {
      if (message.kind === 'ask') void store.caughtUp().then(() => this.leading && this.wrote(message.lane));
      if (message.kind === 'status') this.follow(message.status as SharedStatus);
    });
    const wake = (): void => this.syncNow();
    this.unlisten = [ports.on('visible', wake), ports.on('online', wake)];
    this.leader.start(() => this.lead());
  }

  /** The identity is another one now. */
  restart(): void {
    if (!this.leading) return;
    this.live.stop();
    this.lead();
  }

  stop(): void {
    this.unlisten.forEach((end) => end());
    this.sync.stop();
    this.uploader.stop();
    this.live.stop();
    this.watchdog.stop();
    this.cancelRecheck?.();
    this.connection.stop();
    this.leader.stop();
  }

  syncNow(): void {
    if (!this.leading) return this.parts.channel.post({ kind: 'ask', lane: null });
    this.live.retry();
    this.sync.kick();
  }

  /** Something was written in this tab or, as it told, in another. Null: somebody only wants to be in step. */
  wrote(lane: number | null): void {
    if (!this.leading) return this.parts.channel.post({ kind: 'ask', lane });
    if (lane === null) return this.syncNow();
    if (lane <= 1) this.uploader.giveWay();
    if (lane === 0) this.sync.urgent();
    else this.sync.kick();
  }

  private lead(): void {
    this.changed();
    if (!this.parts.identity()) return;
    this.live.start();
    this.watchdog.start();
    this.sync.start();
    void this.receipt(this.receipts.afterStart());
  }

  private follow(status: SharedStatus): void {
    if (this.leading) return;
    this.told = status;
    this.sync.lastSync = status.lastSync;
    this.parts.changed();
  }

  private changed(): void {
    if (this.leading) this.parts.channel.post({ kind: 'status', status: this.shared });
    this.parts.changed();
  }

  private hello(): { token: string; replica: string } | null {
    const [identity, credentials] = [this.parts.identity(), this.parts.credentials()];
    return identity && credentials && { token: credentials.token, replica: identity.replica };
  }

  private sign(text: string): Promise<string> {
    return signText(this.parts.ports, this.parts.credentials()!.keys, text);
  }

  private async moved(scope: string, lane: number, seq: number): Promise<void> {
    const cursors = await this.parts.store.cursors();
    if ((cursors[scope]?.[lane] ?? 0) >= seq) return;
    if (lane === 0) this.sync.urgent();
    else this.sync.kick();
  }

  /** The line is open and settles nothing: another one may. */
  private stalled(): void {
    this.live.restart();
    this.sync.kick();
  }

  private noteWanted(protocol: number): void {
    const needed = protocol > PROTOCOL_VERSION;
    if (needed === this.updateNeeded) return;
    this.updateNeeded = needed;
    this.changed();
  }

  private synced(): void {
    this.upload();
    this.cancelRecheck ??= this.parts.ports.later(RECHECK_MS, () => {
      this.cancelRecheck = null;
      if (this.leading && !this.sync.syncing) this.quietly(this.recheck());
    });
  }

  private upload(): void {
    this.quietly(this.uploader.run());
  }

  private async recheck(): Promise<void> {
    const { store, ports } = this.parts;
    if (await store.recheck(() => new Promise((resolve) => ports.later(0, resolve)))) this.sync.kick();
  }

  /** The rows are on disk: now, and not before, their receipts may be written. */
  private taken(keys: ReadonlySet<Key>): void {
    void this.receipt(this.unreceipted ? this.receipts.afterStart() : this.receipts.after(keys));
  }

  private async receipt(writing: Promise<string[]>): Promise<void> {
    const urgencies = await writing.catch((error: unknown) => {
      this.unreceipted = troubleOf(error);
      this.failed(error);
      return null;
    });
    if (!urgencies) return;
    this.noteReceipted();
    if (!urgencies.length) return;
    if (urgencies.some((one) => one !== 'routine')) this.sync.urgent();
    else this.sync.soon(this.spreadMs);
  }

  private noteReceipted(): void {
    if (!this.unreceipted) return;
    this.unreceipted = null;
    this.changed();
  }

  /** A receipt of a routine order waits a little, so that not all devices answer at once. */
  private restMs(saved: Saved, at: number): number {
    const rest = at + this.spreadMs - this.parts.clock.now();
    const waits = rest > 0 && rest <= this.spreadMs && isRoutineReceipt(saved, this.parts.store);
    return waits ? rest : 0;
  }

  private failed(error: unknown): void {
    if (error instanceof ProblemError && UPDATE_CODES.has(error.code)) this.updateNeeded = true;
    if (error instanceof Unreachable) {
      this.connection.silent();
      this.live.restart();
    }
    this.changed();
  }

  /** Work whose failure the status shows, and which the next sync begins again. */
  private quietly(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.failed(error));
  }
}
