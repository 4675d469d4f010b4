/** The loop that keeps device and centre alike: push what waits, pull until every lane is complete, again later. */

import { PULL_BYTES_MAX, PULL_BYTES_MIN, PUSH_BYTES_MAX, type Cursors, type SyncReply } from '../core/contract.ts';
import type { Saved } from '../core/outbox.ts';
import { pairKey } from '../core/pairs.ts';
import type { Key } from '../core/rows.ts';
import type { Asking } from '../store/asking.ts';
import type { Store } from '../store/store.ts';
import { ProblemError, type Api } from './api.ts';
import { backoffMs } from './backoff.ts';
import type { CorrectedClock } from './clock.ts';
import type { Ports } from './ports.ts';
import { Rate } from './rate.ts';
import { fitting, isWhole, syncBody } from './request.ts';
import { syncReplyOf } from './shape.ts';
import { Snapshots } from './snapshots.ts';
import { troubleOf, type Trouble } from './trouble.ts';
import type { Identity } from './types.ts';

export const POLL_MS = 10_000;
/** While the line is open a poke comes first, and the timer only makes sure. */
export const POLL_LIVE_MS = 60_000;
/** More than this waiting above lane 0, and lane 0 goes alone beforehand. */
const HEAVY_BYTES = 32 * 1024;
const FIRST_RATE_BYTES_PER_MS = 128;
/** A request is at most as large as the centre takes one: half of it own words, the rest offers and rows to report. */
const PUSH_WORDS_BYTES_MAX = PUSH_BYTES_MAX / 2;
const PUSH_OFFERS_BYTES_MAX = PUSH_BYTES_MAX / 8;
/** A snapshot of which parts are replaced so often in a row is asked for again with the next poll only. */
const REPLACED_MAX = 3;

export interface SyncParts {
  ports: Pick<Ports, 'now' | 'random' | 'later' | 'visible' | 'subtle' | 'gunzip'>;
  api: Api;
  store: Store;
  clock: CorrectedClock;
  app: string;
  identity: () => Identity | null;
  sign: (text: string) => Promise<string>;
  /** The line to the centre is open. */
  live: () => boolean;
  /** Rows that are on disk now, in memory too. */
  taken: (keys: ReadonlySet<Key>) => void;
  /** The centre's log is another one, and the identity on disk says so. */
  moved: (epoch: string) => void;
  /** The oldest protocol that the centre wants to be spoken. */
  wants: (protocol: number) => void;
  failed: (error: unknown) => void;
  /** How long a mutation saved at this time waits yet, in ms. */
  restMs: (saved: Saved, at: number) => number;
  /** A sync ended well. */
  synced: () => void;
  changed: () => void;
}

export class SyncLoop {
  syncing = false;
  lastSync: number | null = null;
  /** The last whole answer left a lane incomplete. */
  behind = false;
  /** The centre has taken every right from this device; known until it grants one again. */
  revoked = false;
  private failure: Trouble | null = null;
  private readonly parts: SyncParts;
  private readonly rate = new Rate(FIRST_RATE_BYTES_PER_MS);
  private readonly snapshots: Snapshots;
  private replaced = 0;
  private wanted = false;
  private again = false;
  private beside = false;
  /** A held mutation is offered once after each start; its later verdict comes as a row, unless all rights are gone. */
  private offerHeld = true;
  private readonly underWay = new Set<string>();
  private failures = 0;
  private cancelTimer: () => void = () => undefined;
  private cancelSoon: (() => void) | null = null;

  constructor(parts: SyncParts) {
    this.parts = parts;
    this.snapshots = new Snapshots(parts);
  }

  get problem(): Trouble | null {
    return this.revoked ? 'revoked' : this.failure;
  }

  start(): void {
    this.wanted = true;
    this.kick();
  }

  stop(): void {
    this.wanted = false;
    this.cancelTimer();
    this.cancelSoon?.();
  }

  /** Sync now, or right after what is under way. */
  kick(): void {
    this.again = true;
    if (this.wanted && !this.syncing) void this.run();
  }

  /** Sync within `ms`, together with whatever else asks for it meanwhile. */
  soon(ms: number): void {
    if (this.cancelSoon) return;
    this.cancelSoon = this.parts.ports.later(ms, () => {
      this.cancelSoon = null;
      this.kick();
    });
  }

  /** Something urgent was written: it does not wait for a bulky request that is under way. */
  urgent(): void {
    if (!this.syncing) return this.kick();
    this.again = true;
    if (!this.wanted || this.beside) return;
    this.beside = true;
    const over = (): void => {
      this.beside = false;
      if (this.isOwing()) this.kick(); // The loop may be at rest already, and nobody else would send them.
    };
    this.round([0]).then(over, over); // The loop meets the same trouble, and tells it.
  }

  private async run(): Promise<void> {
    this.cancelTimer();
    this.syncing = true;
    this.parts.changed();
    let waitMs: number | null = null;
    try {
      while (this.again && this.wanted) {
        this.again = false;
        waitMs = await this.whole();
        this.well();
      }
    } catch (error) {
      waitMs = this.fail(error);
    }
    this.syncing = false;
    this.parts.changed();
    if (!this.wanted) return;
    this.wait(waitMs ?? (this.parts.live() ? POLL_LIVE_MS : POLL_MS));
    const rests = this.parts.store.outbox.map((one) => this.parts.restMs(one.saved, one.at)).filter((ms) => ms > 0);
    if (rests.length) this.soon(Math.min(...rests));
  }

  /** What waits for a sync gets its turn, also where the next one follows at once. */
  private well(): void {
    this.failures = 0;
    this.failure = null;
    this.parts.synced();
  }

  private wait(ms: number): void {
    this.cancelTimer = this.parts.ports.later(ms, () => {
      if (this.failures || this.parts.ports.visible()) this.kick();
      else this.wait(POLL_MS);
    });
  }

  private fail(error: unknown): number {
    this.failure = troubleOf(error);
    if (error instanceof ProblemError && error.code === 'revoked') this.noteRevoked(true).catch(() => undefined);
    this.rate.failed();
    this.again = false;
    this.parts.failed(error);
    return backoffMs(this.failures++, this.parts.ports.random());
  }

  /** Rounds until nothing more can be had. The centre's wish for a pause, if it has one. */
  private async whole(): Promise<number | null> {
    for (;;) {
      if (!this.parts.identity()) return null;
      if (this.behind || this.isHeavy()) await this.round([0]);
      const { more, backoff } = await this.round(null);
      if (!more || backoff) return backoff;
    }
  }

  private isHeavy(): boolean {
    const { outbox } = this.parts.store;
    const above = outbox.filter((one) => one.lane > 0).reduce((sum, one) => sum + one.raw.length, 0);
    return above > HEAVY_BYTES && outbox.some((one) => one.lane === 0);
  }

  /** One request and its answer, on disk when it resolves. `more`: another round would get further. */
  private async round(lanes: number[] | null): Promise<{ more: boolean; backoff: number | null }> {
    const maxBytes = this.rate.bytes(PULL_BYTES_MIN, PULL_BYTES_MAX);
    const chosen = fitting(this.sendable(lanes), Math.min(maxBytes, PUSH_WORDS_BYTES_MAX));
    chosen.forEach((saved) => this.underWay.add(saved.hash));
    try {
      const sending = await this.parts.store.intact(chosen);
      const exchange = await this.send(sending, lanes, maxBytes);
      return { more: await this.take(exchange, lanes), backoff: exchange.reply.backoff };
    } finally {
      chosen.forEach((saved) => this.underWay.delete(saved.hash));
    }
  }

  /** Takes an answer. True when it got this device further, and another round would get it further still. */
  private async take(exchange: Exchange, lanes: number[] | null): Promise<boolean> {
    const { store, taken, moved, wants } = this.parts;
    const { reply, asking } = exchange;
    const before = [await store.cursors(), this.owed()] as const;
    wants(reply.min_client);
    const told = await store.take(reply, asking.asked);
    taken(told.keys);
    if (told.clockAhead) await this.resetClock(exchange);
    await this.noteGrants(reply, before[0]);
    if (told.identity) {
      moved(told.identity.epoch);
      return true;
    }
    const anew = await this.fetchSnapshots(reply);
    if (lanes) return true;
    const cursors = await store.cursors();
    const whole = isWhole(reply.complete, cursors) && !store.standing.restarting.length;
    await this.noteWhole(whole, reply.now);
    const further = JSON.stringify(before[0]) !== JSON.stringify(cursors) || this.owed() < before[1];
    const askedBack = Object.keys(reply.missing).length > 0 && this.owed() > before[1];
    return anew || askedBack || this.isNewlyBad(asking) || (further && (!whole || this.isOwing()));
  }

  /** True when the centre has replaced a part meanwhile, and is to be asked for the new one at once. */
  private async fetchSnapshots(reply: SyncReply): Promise<boolean> {
    if (!reply.snapshots.length) return false;
    const here = await this.snapshots.fetch(reply.snapshots);
    this.replaced = here || this.replaced === REPLACED_MAX ? 0 : this.replaced + 1;
    return this.replaced > 0;
  }

  private async resetClock({ sentMs, receivedMs, reply }: Exchange): Promise<void> {
    const { clock, store } = this.parts;
    if (clock.reset(sentMs, receivedMs, reply.now)) await store.write({ offset: clock.offsetMs });
  }

  /** How much the centre still has to hear of: own words, and after a change of epoch those of others. */
  private owed(): number {
    const { outbox, standing } = this.parts.store;
    return outbox.length + standing.offers.length + standing.unseen.length;
  }

  private isOwing(): boolean {
    const { offers, unseen } = this.parts.store.standing;
    return this.sendable(null).length + offers.length + unseen.length > 0;
  }

  /** The answer showed that a pair differs, and the request had not asked for it yet. */
  private isNewlyBad({ bad }: Asking): boolean {
    const asked = new Set(bad.map((pair) => pairKey(...pair)));
    return this.parts.store.standing.bad.some((pair) => !asked.has(pair));
  }

  /** Whether anything is granted at all: an answer may take the last scope away, or bring the first. */
  private async noteGrants(reply: SyncReply, before: Cursors): Promise<void> {
    const granted = reply.gained.length + reply.pages.length + Object.keys(reply.complete).length > 0;
    if (granted) return this.noteRevoked(false);
    const left = Object.keys(before).filter((scope) => !reply.revoked.includes(scope));
    if (!left.length) await this.noteRevoked(true);
  }

  private async noteRevoked(revoked: boolean): Promise<void> {
    if (revoked === this.revoked) return;
    this.revoked = revoked;
    this.parts.changed();
    await this.parts.store.write({ revoked });
  }

  private async noteWhole(whole: boolean, now: number): Promise<void> {
    this.behind = !whole;
    this.offerHeld = false;
    if (whole) {
      this.lastSync = now;
      await this.parts.store.write({ lastSync: now });
    }
    this.parts.changed();
  }

  /** What may be sent now: nothing twice at the same time. */
  private sendable(lanes: number[] | null): Saved[] {
    const { store, restMs } = this.parts;
    return store.outbox
      .filter((one) => (one.held === null || this.offerHeld || this.revoked) && restMs(one.saved, one.at) === 0)
      .filter((one) => lanes === null || lanes.includes(one.lane))
      .map((one) => one.saved)
      .filter((saved) => !this.underWay.has(saved.hash));
  }

  private async send(sending: Saved[], lanes: number[] | null, maxBytes: number): Promise<Exchange> {
    const { ports, api, clock, store, sign, app } = this.parts;
    const asking = await store.asking(lanes, Math.min(maxBytes, PUSH_OFFERS_BYTES_MAX));
    const request = {
      identity: this.parts.identity()!,
      asking,
      sending: asking.wordsWait ? [] : sending,
      waiting: { count: store.outbox.length, oldest: least(store.outbox.map((one) => one.at)) },
      lanes,
      maxBytes,
      clock: ports.now(),
      app,
    };
    const body = await syncBody(request, sign);
    const sentMs = ports.now();
    let length = body.length;
    const reply = await api.json({ method: 'POST', path: '/v1/sync', body }, (text) => {
      length += text.length;
      return syncReplyOf(text, request.identity.centre);
    });
    const receivedMs = ports.now();
    this.rate.measured(length, receivedMs - sentMs);
    if (clock.measure(sentMs, reply.now)) await store.write({ offset: clock.offsetMs });
    return { asking, reply, sentMs, receivedMs };
  }
}

/** One request and its answer, with the device clock's times of both. */
interface Exchange {
  asking: Asking;
  reply: SyncReply;
  sentMs: number;
  receivedMs: number;
}

function least(times: number[]): number | null {
  return times.reduce<number | null>((least, time) => (least === null || time < least ? time : least), null);
}
