/** Taking an answer of the centre: verdicts, rows, losses and cursors in one transaction. */

import type { Cursors, Page, SyncReply, Verdict } from '../core/contract.ts';
import { FINAL } from '../core/outbox.ts';
import { advance, replaces } from '../core/pull.ts';
import { lateVerdict, overlayDone, savedOf, settledInto } from '../core/replica.ts';
import { keyOf, wholeRow, type Key } from '../core/rows.ts';
import { splitDot } from '../core/mutation.ts';
import { sealAll } from './codec.ts';
import type { Database, OutboxRecord, RefusedRecord, RowRecord, StagedRecord } from './database.ts';

/** What changed on disk: the rows by key (null = gone), and whether the lists of own mutations did. */
export interface Taken {
  rows: Map<Key, RowRecord | null>;
  lists: boolean;
}

const isDot = (text: string): boolean => /\/\d+\/\d+$/.test(text);
const pairOf = (scope: string, lane: number): string => `${lane} ${scope}`;

/** Takes the answer. Rows of a (scope, lane) that is not complete are staged, and seen by nobody. */
export async function takeReply(database: Database, reply: SyncReply): Promise<Taken> {
  const pages = await Promise.all(reply.pages.map(sealed));
  const { rows, outbox, awaiting, refused, staged, meta } = database;
  return database.transaction('rw', [rows, outbox, awaiting, refused, staged, meta], async () => {
    const taking = new Taking(database, reply);
    await taking.begin();
    await taking.settle(reply.verdicts);
    await taking.lose(reply.revoked);
    await taking.take(pages);
    await taking.end();
    return { rows: taking.changed, lists: taking.lists };
  });
}

async function sealed(page: Page): Promise<StagedRecord> {
  const rows = page.rows.map(wholeRow);
  const bodies = await sealAll(rows);
  return {
    scope: page.scope,
    lane: page.lane,
    rows: rows.map((row, i) => ({ key: keyOf(row.entity, row.id), seq: row.seq, body: bodies[i]! })),
    out: (page.out ?? []).map(([entity, id]) => keyOf(entity, id)),
    late: rows.filter((row) => row.entity === 'verdict').map(lateVerdict),
  };
}

/** The work of one transaction. Awaits nothing but the database. */
class Taking {
  readonly changed = new Map<Key, RowRecord | null>();
  lists = false;
  private cursors: Cursors = {};
  private readonly complete = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly reply: SyncReply,
  ) {
    for (const [scope, lanes] of Object.entries(reply.complete)) {
      for (const lane of lanes) this.complete.add(pairOf(scope, lane));
    }
  }

  async begin(): Promise<void> {
    this.cursors = await this.database.read<Cursors>('cursors', {});
  }

  /** Moves what each verdict settles out of the outbox, by dot and hash. */
  async settle(verdicts: readonly Verdict[]): Promise<void> {
    const { outbox, refused } = this.database;
    for (const verdict of verdicts) {
      if (!isDot(verdict.dot)) {
        await this.settleUnread(verdict);
        continue;
      }
      const [, lane, n] = splitDot(verdict.dot);
      const waiting = await outbox.get([lane, n]);
      const mine = (one?: OutboxRecord | RefusedRecord): boolean =>
        one !== undefined && one.hash === verdict.hash && savedOf(one).mutation.replica === ownerOf(verdict.dot);
      if (waiting && mine(waiting)) await this.settleOne(waiting, verdict);
      const again = waiting ? undefined : await refused.get([lane, n]);
      if (again && mine(again) && FINAL.has(verdict.verdict)) {
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
    const { lane, n, raw, hash, ticket, at, photos } = record;
    const saved = { lane, n, raw, hash, ticket, at, photos };
    this.lists = true;
    if (settledInto(verdict) === 'refused') await this.database.refused.put({ ...saved, verdict });
    else await this.database.awaiting.put({ ...saved, seq: verdict.seq, arrived: this.reply.now });
  }

  /** Forgets scopes: their cursors, their staged pages, and the rows that no other scope holds. */
  async lose(scopes: readonly string[]): Promise<void> {
    const { rows, staged } = this.database;
    if (!scopes.length) return;
    this.cursors = Object.fromEntries(Object.entries(this.cursors).filter(([name]) => !scopes.includes(name)));
    await staged.filter((page) => scopes.includes(page.scope)).delete();
    const records = await rows.where('scopes').anyOf(scopes).distinct().toArray();
    for (const record of records) {
      for (const scope of scopes) this.release(record.key, scope, record);
    }
  }

  /** Shows the pages of complete pairs, with what was staged for them before; stages the others. */
  async take(pages: StagedRecord[]): Promise<void> {
    const { staged } = this.database;
    const ready: StagedRecord[] = [];
    for (const [scope, lanes] of Object.entries(this.reply.complete)) {
      for (const lane of lanes) {
        const waiting = staged.where('[scope+lane]').equals([scope, lane]);
        ready.push(...(await waiting.sortBy('id')));
        await waiting.delete();
      }
    }
    const wanted = pages.filter((page, i) => !this.isKnown(page, this.reply.pages[i]!.next));
    const isReady = (page: StagedRecord): boolean => this.complete.has(pairOf(page.scope, page.lane));
    ready.push(...wanted.filter(isReady));
    await staged.bulkAdd(wanted.filter((page) => !isReady(page)));
    await this.show(ready);
    this.moveCursors();
  }

  /** An answer to a later request was taken first, and knew more: this page could only bring back what left since. */
  private isKnown(page: StagedRecord, next: number): boolean {
    return next <= (this.cursors[page.scope]?.[page.lane] ?? 0);
  }

  private async show(pages: StagedRecord[]): Promise<void> {
    const held = await this.held(pages);
    for (const page of pages) {
      for (const row of page.rows) this.enter(row, page.scope, held.get(row.key) ?? null);
      for (const key of page.out) this.release(key, page.scope, held.get(key) ?? null);
    }
    await this.write();
    for (const page of pages) await this.settle(page.late);
  }

  /** The scope holds the row now; its body is taken unless a newer one is here. */
  private enter(row: StagedRecord['rows'][number], scope: string, stored: RowRecord | null): void {
    const before = this.current(row.key, stored);
    const scopes = before?.scopes.includes(scope) ? before.scopes : [...(before?.scopes ?? []), scope];
    const { seq, body } = before && !replaces(row.seq, before.seq) ? before : row;
    this.changed.set(row.key, { key: row.key, scopes, seq, body });
  }

  /** The scope lets the row go; without any scope left it is gone. */
  private release(key: Key, scope: string, stored: RowRecord | null): void {
    const before = this.current(key, stored);
    if (!before) return;
    const scopes = before.scopes.filter((one) => one !== scope);
    this.changed.set(key, scopes.length ? { ...before, scopes } : null);
  }

  private current(key: Key, stored: RowRecord | null): RowRecord | null {
    const changed = this.changed.get(key);
    return changed === undefined ? stored : changed;
  }

  private async held(pages: StagedRecord[]): Promise<Map<Key, RowRecord>> {
    const keys = [...new Set(pages.flatMap((page) => [...page.rows.map((row) => row.key), ...page.out]))];
    const found = await this.database.rows.bulkGet(keys);
    return new Map(found.filter((record) => record !== undefined).map((record) => [record.key, record]));
  }

  private async write(): Promise<void> {
    const entries = [...this.changed];
    const kept = entries.map(([, record]) => record).filter((record) => record !== null);
    const gone = entries.filter(([, record]) => record === null).map(([key]) => key);
    if (kept.length) await this.database.rows.bulkPut(kept);
    if (gone.length) await this.database.rows.bulkDelete(gone);
  }

  private moveCursors(): void {
    for (const { scope, lane, next } of this.reply.pages) this.cursors = advance(this.cursors, scope, lane, next);
    for (const [scope, lanes] of Object.entries(this.reply.complete)) {
      for (const lane of lanes) this.cursors = advance(this.cursors, scope, lane, this.reply.upto);
    }
  }

  /** Keeps the cursors, and drops the overlays whose rows must be here by now. */
  async end(): Promise<void> {
    const { awaiting, staged, meta } = this.database;
    await meta.put({ key: 'cursors', value: this.cursors });
    const pairs = (await staged.orderBy('[scope+lane]').uniqueKeys()) as unknown as [string, number][];
    const stagedLanes = new Set(pairs.map(([, lane]) => lane));
    for (const record of await awaiting.toArray()) {
      const one = { saved: savedOf(record), seq: record.seq };
      if (!overlayDone(one, this.cursors, stagedLanes)) continue;
      this.lists = true;
      await awaiting.delete([record.lane, record.n]);
    }
  }
}

function ownerOf(dot: string): string {
  return splitDot(dot)[0];
}
