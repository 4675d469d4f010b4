/** From the first tables to the second: nothing is lost, and every row learns its lane, its digest and its photos. */

import type { Transaction } from 'dexie';
import { LANES, type Verdict } from '../core/contract.ts';
import { asText, ofText, total } from '../core/digest.ts';
import { pairKey, type PairKey } from '../core/pairs.ts';
import { wholeRow } from '../core/rows.ts';
import { ENTITIES } from '../core/entities.ts';
import { closed, isRow } from './closing.ts';
import type { AwaitingRecord, RefusedRecord, RowRecord, StagedRecord } from './database.ts';
import { AT_REST } from './standing.ts';

/** Where a row of an entity that this app does not know lies until it comes again. */
const LAST_LANE = LANES[LANES.length - 1]!;

export async function upgradeFrom1(transaction: Transaction): Promise<void> {
  const table = <T>(name: string) => transaction.table<T>(name);
  const sums = new Map<PairKey, bigint>();
  await table<RowRecord>('rows')
    .toCollection()
    .modify((record, slot) => {
      if (!isRow(record.body, record.key)) {
        delete (slot as { value?: RowRecord }).value;
        return;
      }
      const row = wholeRow(record.body);
      const lane = ENTITIES[row.entity]?.lane ?? LAST_LANE;
      Object.assign(record, { ...closed(row, row), seq: record.seq, lane });
      for (const scope of record.scopes) {
        const pair = pairKey(scope, lane);
        sums.set(pair, total([sums.get(pair) ?? 0n, ofText(record.digest)]));
      }
    });
  await table<StagedRecord>('staged')
    .toCollection()
    .modify((page) => {
      const readable = page.rows.filter(({ body, key }) => isRow(body, key));
      page.rows = readable.map(({ body }) => wholeRow(body)).map((row) => closed(row, row));
      page.late = page.late.map(tagged);
      Object.assign(page, { proofs: [], part: null });
    });
  await table<RefusedRecord>('refused')
    .toCollection()
    .modify((record) => {
      record.verdict = tagged(record.verdict);
    });
  await table<AwaitingRecord>('awaiting')
    .toCollection()
    .modify((record) => {
      record.tags = [];
    });
  await table<AwaitingRecord>('sent').bulkPut(await table<AwaitingRecord>('awaiting').toArray());
  const told = Object.fromEntries([...sums].map(([pair, sum]) => [pair, asText(sum)]));
  await table('meta').put({ key: 'standing', value: { ...AT_REST, sums: told } });
}

function tagged(verdict: Verdict): Verdict {
  return { ...verdict, tags: verdict.tags ?? [] };
}
