/** What verdicts do to own mutations, inside the transaction that takes the answer. */

import { MUTATIONS_PER_PUSH_MAX, SENT_MS, type SyncReply, type Verdict } from '../core/contract.ts';
import { VOID, splitDot } from '../core/mutation.ts';
import { FINAL, NO_TIP, type Tip } from '../core/outbox.ts';
import { savedOf, settledInto } from '../core/replica.ts';
import type { Database, OutboxRecord, RefusedRecord, SavedRecord } from './database.ts';
import { isIntact, offerAgain, plain, putVoid, tipKey } from './shelves.ts';

const isDot = (text: string): boolean => /\/\d+\/\d+$/.test(text);

export class Settling {
  /** The lists of own mutations are others now. */
  lists = false;

  constructor(
    private readonly database: Database,
    /** This device, as the dots of its mutations name it. */
    private readonly replica: string | null,
    private readonly nowMs: number,
  ) {}

  /** Moves what each verdict settles out of the outbox, by dot and hash. */
  async settle(verdicts: readonly Verdict[]): Promise<void> {
    const { outbox, refused } = this.database;
    for (const verdict of verdicts) {
      if (!isDot(verdict.dot)) {
        await this.settleUnread(verdict);
        continue;
      }
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
  }

  /** The centre could not read the words, not even their number: it names them by their hash alone. */
  private async settleUnread(verdict: Verdict): Promise<void> {
    const { outbox } = this.database;
    const unread = await outbox.filter((one) => one.hash === verdict.hash).first();
    if (!unread) return;
    await outbox.delete([unread.lane, unread.n]);
    await this.move(unread, { ...verdict, verdict: 'refused' });
  }

  private async settleOne(waiting: OutboxRecord, verdict: Verdict): Promise<void> {
    const { outbox } = this.database;
    if (FINAL.has(verdict.verdict)) {
      await outbox.delete([waiting.lane, waiting.n]);
      await this.move(waiting, verdict);
    } else if (verdict.verdict === 'held') {
      this.lists = true;
      await outbox.update([waiting.lane, waiting.n], { held: verdict.code ?? 'held' });
    }
  }

  private async move(record: OutboxRecord | RefusedRecord, verdict: Verdict): Promise<void> {
    const { refused, awaiting, sent } = this.database;
    this.lists = true;
    if (settledInto(verdict) === 'refused') {
      if (!isNeedlessVoid(record, verdict)) await refused.put({ ...plain(record), verdict });
      return;
    }
    const taken = { ...plain(record), seq: verdict.seq, arrived: this.nowMs, tags: [...(verdict.tags ?? [])] };
    await awaiting.put(taken);
    await sent.put(taken);
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
    if (kept) await offerAgain(this.database, kept);
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
