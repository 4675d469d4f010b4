/** Taking an answer of the centre: verdicts, rows, losses and cursors in one transaction. */

import type { Cursors, SyncReply } from '../core/contract.ts';
import { asText } from '../core/digest.ts';
import { isOwn, offersLeft } from '../core/epoch.ts';
import {
  fits,
  fromStart,
  isRepairDue,
  pairKey,
  repairAfter,
  splitPairKey,
  wentBack,
  withoutScopes,
} from '../core/pairs.ts';
import type { Exchange, Pair, PairKey } from '../core/pairs.ts';
import { advance } from '../core/pull.ts';
import { overlayDone, savedOf } from '../core/replica.ts';
import type { Key } from '../core/rows.ts';
import { notBelow, startAt } from '../core/stamp.ts';
import { closedPage } from './closing.ts';
import type { Database, ProofRecord, RowRecord, StagedRecord } from './database.ts';
import { Holding } from './holding.ts';
import { rowsAbove, startOver, unproven } from './restore.ts';
import { Settling } from './settle.ts';
import { isIntact, stampOf } from './shelves.ts';
import { Pairs, type Standing } from './standing.ts';

/** What the request said that an answer answers; a second request may have been answered since. */
export interface Asked {
  epoch: string;
  cursors: Cursors;
  /** Dots of the signed mutations that went with it, and keys of the rows that it reported. */
  offers: readonly string[];
  seen: readonly Key[];
  /** Dots of offers that are here no more, though nobody took their rows away. */
  gone: readonly string[];
}

type StoredIdentity = { replica: string; epoch: string };

/** What changed on disk: the rows by key (null = gone), and whether the lists of own mutations did. */
export interface Taken {
  rows: Map<Key, RowRecord | null>;
  lists: boolean;
  /** The identity with the new epoch, when the log of the centre is another one. */
  identity: StoredIdentity | null;
  /** The centre did not believe this device's clock. */
  clockAhead: boolean;
  /** Null where nothing was taken. */
  standing: Standing | null;
}

const NOTHING: Taken = { rows: new Map(), lists: false, identity: null, clockAhead: false, standing: null };

/** Takes the answer. Rows of a (scope, lane) that is not complete are staged, and seen by nobody. */
export async function takeReply(database: Database, reply: SyncReply, asked: Asked | null): Promise<Taken> {
  const identity = await database.read<StoredIdentity | null>('identity', null);
  const moved = identity !== null && reply.epoch !== identity.epoch;
  // The log was changed meanwhile, by the answer to another request: this one was asked of a log that is gone.
  if (identity !== null && asked && asked.epoch !== (identity.epoch ?? '')) return NOTHING;
  const fork = reply.fork ?? 0;
  const above = moved ? await rowsAbove(database, fork) : [];
  const pages = moved ? [] : await Promise.all(reply.pages.map((page) => closedPage(page)));
  const told = moved ? [] : await unproven(database, reply.verdicts);
  return database.transaction('rw', database.tables, async () => {
    const pairs = await Pairs.read(database);
    if (moved) await startOver(database, pairs, { identity, epoch: reply.epoch, fork, above });
    const taking = new Taking(database, reply, asked, pairs, identity?.replica ?? null);
    await taking.run(pages, moved, told);
    const { lists, clockAhead, holding } = taking;
    const anew = moved ? { ...identity, epoch: reply.epoch } : null;
    const standing = await pairs.write(database);
    return { rows: holding.changed, lists: lists || moved, identity: anew, clockAhead, standing };
  });
}

/** The work of one transaction. Awaits nothing but the database. */
class Taking {
  readonly holding: Holding;
  clockAhead = false;
  private readonly settling: Settling;
  private cursors: Cursors = {};
  private readonly exchange: Exchange;
  private readonly restarts = new Set<PairKey>();
  /** Pairs whose rows may be shown with this answer. */
  private readonly complete = new Map<PairKey, Pair>();

  constructor(
    private readonly database: Database,
    private readonly reply: SyncReply,
    private readonly asked: Asked | null,
    private readonly pairs: Pairs,
    private readonly replica: string | null,
  ) {
    this.holding = new Holding(database, pairs);
    this.settling = new Settling(database, replica, reply.now);
    this.exchange = { asked: asked?.cursors ?? {}, upto: reply.upto };
  }

  get lists(): boolean {
    return this.settling.lists;
  }

  /**
   * Everything the answer says; `moved`: it begins another log, and its rows come with the next one; `told`: rows that
   * are reported, for it found nothing proven that they rest on.
   */
  async run(pages: StagedRecord[], moved: boolean, told: readonly Key[]): Promise<void> {
    const { reply, settling } = this;
    this.cursors = await this.database.read<Cursors>('cursors', {});
    if (!moved) await this.settleOffers(told);
    await settling.settle(reply.verdicts);
    await settling.recover(reply.missing);
    // What this device alone has seen is reported first; the next answer says again which scopes are lost.
    if (!moved && this.isNewest() && !this.pairs.unseen.length) await this.lose(reply.revoked);
    if (!moved) await this.pull(pages);
    await this.holding.write();
    await this.keepStamp();
    await settling.forgetSent(reply.durable);
    await this.end();
  }

  /** The centre has what was offered and reported with the request; rows here may be replaced once all was. */
  private async settleOffers(told: readonly Key[]): Promise<void> {
    const { pairs, asked, reply } = this;
    if (!asked || (!pairs.offers.length && !pairs.unseen.length)) return;
    const [seen, gone] = [new Set(asked.seen), new Set(asked.gone)];
    const before = pairs.offers;
    const here = before.filter((dot) => !gone.has(dot));
    pairs.offers = offersLeft(here, asked.offers, reply.verdicts);
    await this.dropBare(before);
    pairs.unseen = [...new Set([...pairs.unseen.filter((key) => !seen.has(key)), ...told])];
    this.settling.lists = true;
  }

  /** Of what was offered, that on which no row rests any more is kept no longer. */
  private async dropBare(before: readonly string[]): Promise<void> {
    const { proofs } = this.database;
    const left = new Set(this.pairs.offers);
    const settled = await proofs.bulkGet(before.filter((dot) => !left.has(dot)));
    const bare = settled.filter((one) => one?.keys.length === 0).map((one) => one!.dot);
    await proofs.bulkDelete(bare);
  }

  /** Forgets scopes: their cursors, their staged pages, and the rows that no other scope holds. */
  private async lose(scopes: readonly string[]): Promise<void> {
    if (!scopes.length) return;
    const lost = new Set(scopes);
    this.cursors = withoutScopes(this.cursors, scopes);
    await this.database.staged.filter((page) => lost.has(page.scope)).delete();
    for (const scope of lost) {
      for (const key of await this.holding.heldBy(scope, null)) this.holding.release(key, scope);
    }
    await this.holding.write();
    for (const pair of this.pairs.known()) if (lost.has(splitPairKey(pair)[0])) this.pairs.forget(pair);
  }

  private async pull(pages: StagedRecord[]): Promise<void> {
    if (this.isNewest()) for (const scope of this.reply.gained) this.cursors = { [scope]: {}, ...this.cursors };
    await this.restart();
    for (const [scope, lanes] of Object.entries(this.reply.complete)) {
      for (const lane of lanes) if (this.mayShow([scope, lane])) this.complete.set(pairKey(scope, lane), [scope, lane]);
    }
    await this.show(await this.stage(pages));
    this.moveCursors();
    this.compare();
  }

  /** What was staged of these pairs goes, but for parts of the snapshot that is offered again. */
  private async restart(): Promise<void> {
    const offered = new Map(this.reply.snapshots.map((one) => [pairKey(one.scope, one.lane), one.parts]));
    for (const pair of this.reply.restart) {
      const [key, [scope, lane]] = [pairKey(...pair), pair];
      if (!this.isKnown(scope) || !fits(this.cursors, this.exchange, pair, true)) continue;
      const parts = new Set(offered.get(key)?.map(({ sha256 }) => sha256));
      const staged = this.database.staged.where('[scope+lane]').equals([scope, lane]);
      await staged.filter(({ part }) => part === null || !parts.has(part)).delete();
      this.cursors = fromStart(this.cursors, pair);
      this.restarts.add(key);
      this.pairs.restarting.add(key);
      if (this.pairs.bad.delete(key)) this.settling.lists = true;
    }
  }

  private fits(pair: Pair): boolean {
    return this.isKnown(pair[0]) && fits(this.cursors, this.exchange, pair, this.restarts.has(pairKey(...pair)));
  }

  /** An older answer that comes late does not know which scopes there are now. */
  private isKnown(scope: string): boolean {
    return scope in this.cursors || this.isNewest();
  }

  private isNewest(): boolean {
    const seqs = Object.values(this.cursors).flatMap((lanes) => Object.values(lanes));
    return seqs.every((seq) => seq <= this.reply.upto);
  }

  /** Rows that only this device has seen stay until all of them were reported. */
  private mayShow(pair: Pair): boolean {
    const waits = this.pairs.unseen.length > 0 && this.pairs.restarting.has(pairKey(...pair));
    return this.fits(pair) && !waits;
  }

  /** Puts down the pages of incomplete pairs. The pages of each complete one, in the order in which they came. */
  private async stage(pages: StagedRecord[]): Promise<Map<PairKey, StagedRecord[]>> {
    const { staged } = this.database;
    const ready = new Map<PairKey, StagedRecord[]>();
    for (const [key, [scope, lane]] of this.complete) {
      const waiting = staged.where('[scope+lane]').equals([scope, lane]);
      ready.set(key, await waiting.sortBy('id'));
      await waiting.delete();
    }
    for (const [i, page] of pages.entries()) {
      if (!this.isNew(page, this.reply.pages[i]!.next)) continue;
      const shown = ready.get(pairKey(page.scope, page.lane));
      if (shown) shown.push(page);
      else await staged.add(page);
    }
    return ready;
  }

  /** An answer to a later request that was taken first knew more: an old page could only bring back what left since. */
  private isNew({ scope, lane }: StagedRecord, next: number): boolean {
    return this.fits([scope, lane]) && next > (this.cursors[scope]?.[lane] ?? 0);
  }

  private async show(ready: ReadonlyMap<PairKey, StagedRecord[]>): Promise<void> {
    const { holding, pairs } = this;
    const pages = [...ready.values()].flat();
    for (const key of ready.keys()) if (pairs.restarting.has(key)) await holding.loadScope(splitPairKey(key)[0]);
    await holding.load(pages.flatMap((page) => [...page.rows.map((row) => row.key), ...page.out]));
    const anew = new Map<PairKey, Set<Key>>();
    for (const [key, mine] of ready) {
      const entered = enterAll(holding, splitPairKey(key), mine);
      if (pairs.restarting.delete(key)) anew.set(key, entered);
    }
    for (const [key, entered] of anew) {
      const [scope, lane] = splitPairKey(key);
      for (const held of await holding.heldBy(scope, lane)) if (!entered.has(held)) holding.release(held, scope);
    }
    await holding.write();
    for (const [key, entered] of anew) holding.recount(splitPairKey(key), entered);
    for (const page of pages) await this.settling.settle(page.late);
    for (const page of pages) for (const proof of page.proofs) await this.keepProof(proof);
  }

  /** Kept while a row rests on it. */
  private async keepProof(proof: ProofRecord): Promise<void> {
    const { proofs } = this.database;
    await this.holding.load(proof.keys);
    const keys = proof.keys.filter((key) => this.holding.current(key) !== null);
    if (!keys.length) return;
    const before = await proofs.get(proof.dot);
    const seq = Math.min(proof.seq, before?.seq ?? proof.seq);
    await proofs.put({ ...proof, keys, seq });
  }

  private moveCursors(): void {
    const wanted = this.reply.pages.filter(({ scope, lane }) => this.fits([scope, lane]));
    for (const { scope, lane, next } of wanted) this.cursors = advance(this.cursors, scope, lane, next);
    for (const [scope, lane] of this.complete.values()) {
      this.cursors = advance(this.cursors, scope, lane, this.reply.upto);
    }
  }

  /** Complete pairs must sum to what the centre says, unless something newer than this answer is here already. */
  private compare(): void {
    const { reply, exchange } = this;
    for (const [scope, lanes] of Object.entries(exchange.asked)) {
      for (const lane of Object.keys(lanes).map(Number)) {
        const key = pairKey(scope, lane);
        if (wentBack(exchange, [scope, lane]) && !this.restarts.has(key)) this.mark(key);
      }
    }
    const ahead = Object.values(this.cursors).some((lanes) => Object.values(lanes).some((seq) => seq > reply.upto));
    if (ahead) return;
    for (const [key, [scope, lane]] of this.complete) {
      const told = reply.digests[scope]?.[lane];
      if (told !== undefined) this.compareOne(key, told);
    }
  }

  private compareOne(key: PairKey, told: string): void {
    const { repairs, sums } = this.pairs;
    if (asText(sums.get(key) ?? 0n) !== told) this.mark(key);
    // A pair stays bad till it begins anew: the sum may fit where the bytes of a row do not any more.
    else if (repairs.delete(key)) this.settling.lists = true;
  }

  /** The next request asks for the pair anew, unless that has just been of no use. */
  private mark(key: PairKey): void {
    const { bad, repairs } = this.pairs;
    const past = repairs.get(key) ?? null;
    if (bad.has(key) || !isRepairDue(past, this.reply.now)) return;
    this.settling.lists = true;
    bad.add(key);
    repairs.set(key, repairAfter(past, this.reply.now));
  }

  /** The next stamp is above the last one and not below the centre's clock; one too far ahead begins anew there. */
  private async keepStamp(): Promise<void> {
    const { database, reply, replica } = this;
    if (replica === null) return;
    this.clockAhead = reply.verdicts.some(({ dot, tags }) => isOwn(dot, replica) && tags?.includes('clock_ahead'));
    const last = await stampOf(database, replica);
    const next = this.clockAhead ? startAt(last, reply.now) : notBelow(last, reply.now);
    if (next !== last) await database.keep('stamp', next);
  }

  /** Keeps the cursors, and drops the overlays whose rows must be here by now. */
  private async end(): Promise<void> {
    const { awaiting, staged } = this.database;
    await this.database.keep('cursors', this.cursors);
    const held = (await staged.orderBy('[scope+lane]').uniqueKeys()) as unknown as Pair[];
    const stagedLanes = new Set(held.map(([, lane]) => lane));
    for (const record of await awaiting.toArray()) {
      const gone = !isIntact(record);
      if (!gone && !overlayDone({ saved: savedOf(record), seq: record.seq }, this.cursors, stagedLanes)) continue;
      this.settling.lists = true;
      await awaiting.delete([record.lane, record.n]);
    }
  }
}

/** The rows of these pages in order, as the scope's. The keys that it holds of them in the end. */
function enterAll(holding: Holding, pair: Pair, pages: readonly StagedRecord[]): Set<Key> {
  const entered = new Set<Key>();
  for (const page of pages) {
    for (const row of page.rows) {
      holding.enter(row, pair);
      entered.add(row.key);
    }
    for (const key of page.out) {
      holding.release(key, pair[0]);
      entered.delete(key);
    }
  }
  return entered;
}
