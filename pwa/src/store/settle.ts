/** What verdicts do to own mutations, inside the transaction that takes the answer. */

import { MUTATIONS_PER_PUSH_MAX, SENT_MS, type SyncReply, type Verdict } from '../core/contract.ts';
import { VOID, splitDot } from '../core/mutation.ts';
import { FINAL, NO_TIP, type Tip } from '../core/outbox.ts';
import { savedOf, settledInto } from '../core/replica.ts';
import type { Database, OutboxRecord, RefusedRecord, SavedRecord } from './database.ts';
import { isOwed, paid, type Numbered } from './owing.ts';
import { giveUp, isIntact, offerAgain, plain, putVoid, tipKey } from './shelves.ts';

const isDot = (text: string): boolean => /\/\d+\/\d+$/.test(text);

export class Settling {
  /** The lists of own mutations are others now. */
  lists = false;
  /** Numbers that have their final verdict. */
  private left: Numbered[] = [];

  constructor(
    private readonly database: Database,
    /** This device, as the dots of its mutations name it. */
    private readonly replica: string | null,
    private readonly nowMs: number,
  ) {}

  /** Moves what each verdict settles out of the outbox, by dot and hash. */
  async settle(verdicts: readonly Verdict[]): Promise<void> {
    for (const verdict of verdicts) {
      if (isDot(verdict.dot)) await this.settleRead(verdict);
      else await this.settleUnread(verdict);
    }
    await paid(this.database, { numbers: this.left });
    this.left = [];
  }

  private async settleRead(verdict: Verdict): Promise<void> {
    const { outbox, refused } = this.database;
    const [replica, lane, n] = splitDot(verdict.dot);
    const mine = (one?: OutboxRecord | RefusedRecord): boolean =>
      one !== undefined && one.hash === verdict.hash && replica === this.replica;
    const waiting = await outbox.get([lane, n]);
    if (waiting && mine(waiting)) await this.settleOne(waiting, verdict);
    const again = waiting ? undefined : await refused.get([lane, n]);
    // An older answer may come late.
    if (again && mine(again) && FINAL.has(verdict.verdict) && verdict.seq >= again.verdict.seq) {
      await refused.delete([lane, n]);
      await this.move(again, verdict);
    }
  }

  /** The centre could not read the words, not even their number: it names them by their hash alone. */
  private async settleUnread(verdict: Verdict): Promise<void> {
    const unread = await this.database.outbox.filter((one) => one.hash === verdict.hash).first();
    if (unread) await this.leave(unread, { ...verdict, verdict: 'refused' });
  }

  private async leave(record: OutboxRecord, verdict: Verdict): Promise<void> {
    const number: Numbered = [record.lane, record.n];
    await this.database.outbox.delete(number);
    this.left.push(number);
    await this.move(record, verdict);
  }

  private async settleOne(waiting: OutboxRecord, verdict: Verdict): Promise<void> {
    const { outbox } = this.database;
    if (FINAL.has(verdict.verdict)) {
      await this.leave(waiting, verdict);
    } else if (verdict.verdict === 'held') {
      this.lists = true;
      await outbox.update([waiting.lane, waiting.n], { held: verdict.code ?? 'held' });
    }
  }

  private async move(record: OutboxRecord | RefusedRecord, verdict: Verdict): Promise<void> {
    const { refused, awaiting, sent } = this.database;
    this.lists = true;
    if (settledInto(verdict) === 'refused') {
      if (isNeedlessVoid(record, verdict)) await this.unlose(record);
      else await refused.put({ ...plain(record), verdict });
      return;
    }
    const taken = { ...plain(record), seq: verdict.seq, arrived: this.nowMs, tags: [...(verdict.tags ?? [])] };
    await awaiting.put(taken);
    await sent.put(taken);
  }

  /** What was thought to be lost had arrived before: nobody must hear of it any more. */
  private async unlose({ lane, n }: SavedRecord): Promise<void> {
    const noted = this.database.damaged.where('[lane+n]').equals([lane, n]);
    await noted.filter(({ record }) => record === null).delete();
  }

  /** Numbers that the centre lacks go again; where the words are gone, a void says so. */
  async recover(missing: SyncReply['missing']): Promise<void> {
    for (const [name, numbers] of Object.entries(missing)) {
      const lane = Number(name);
      const tip = await this.database.read<Tip>(tipKey(lane), NO_TIP);
      const given = numbers.filter((n) => n >= 1 && n <= tip.n);
      for (const n of given.slice(0, MUTATIONS_PER_PUSH_MAX)) await this.recoverOne(lane, n);
    }
  }

  private async recoverOne(lane: number, n: number): Promise<void> {
    const { outbox, awaiting, sent, refused } = this.database;
    if (await outbox.get([lane, n])) return;
    const kept = (await sent.get([lane, n])) ?? (await awaiting.get([lane, n])) ?? (await refused.get([lane, n]));
    this.lists = true;
    if (kept) await offerAgain(this.database, [kept]);
    else if (await isOwed(this.database, [lane, n])) await giveUp(this.database, [lane, n], this.nowMs);
    else await putVoid(this.database, { lane, n, hash: null, reason: 'missing' }, this.nowMs);
  }

  /** Sent words stay until the centre's machine may be lost, or for a fortnight where no backup says so. */
  async forgetSent(durable: number): Promise<void> {
    const { sent } = this.database;
    await sent.where('seq').belowOrEqual(durable).delete();
    await sent
      .where('arrived')
      .below(this.nowMs - SENT_MS)
      .delete();
  }
}

/** The words were not lost after all: the centre has them under this number, and nobody must hear of it. */
function isNeedlessVoid(record: SavedRecord, { code }: Verdict): boolean {
  return code === 'identity_reused' && isIntact(record) && savedOf(record).mutation.intent === VOID;
}
