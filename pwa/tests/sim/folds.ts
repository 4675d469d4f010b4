/** The pure functions of the core under the names by which the fuzz calls them: plain values in, plain values out. */

import { canonical } from '../../src/core/canonical.ts';
import type { Row, Value } from '../../src/core/contract.ts';
import { asText, digestOf, rowDigest } from '../../src/core/digest.ts';
import { overdue, progressOf } from '../../src/core/fold.ts';
import { isDisputed, resolve } from '../../src/core/merge.ts';
import { isWithin, whereabouts } from '../../src/core/moves.ts';
import { Refusal, checkForm, encodeMutation, hashOf } from '../../src/core/mutation.ts';
import { runsToSend } from '../../src/core/outbox.ts';
import { basesOf, savedFrom, viewOf } from '../../src/core/replica.ts';
import { keyOf, wholeRow } from '../../src/core/rows.ts';
import { decodeStamp, encodeStamp, nextStamp, type Stamp } from '../../src/core/stamp.ts';
import { NO_FACTS } from '../store/world.ts';

type Fold = (given: Value) => unknown;

const rowsOf = (rows: Row[]): Row[] => rows.map(wholeRow);
const orNull = <T, R>(value: T | null, make: (value: T) => R): R | null => (value === null ? null : make(value));
const parts = ({ wallMs, counter, replica }: Stamp): unknown[] => [wallMs, counter, replica];
const stampOf = ([wallMs, counter, replica]: [number, number, string]): Stamp => ({ wallMs, counter, replica });

export const FOLDS: Record<string, Fold> = {
  canonical: (value) => canonical(value),
  digest: (row) => [asText(rowDigest(wholeRow(row))), asText(digestOf(wholeRow(row)))],
  resolve: ({ policy, writes, choices }) => {
    const state = resolve(policy, writes, choices);
    const dots = (some: { dot: string }[]): string[] => some.map(({ dot }) => dot);
    return { live: state.live.dot, open: dots(state.open), heads: dots(state.heads), disputed: isDisputed(state) };
  },
  progress: ({ directive, facts, now }) => {
    const given = Object.entries(facts as Record<string, Row[]>).map(([name, rows]) => [name, rowsOf(rows)]);
    const { recallId, ...progress } = progressOf(wholeRow(directive), { ...NO_FACTS, ...Object.fromEntries(given) });
    const late = progress.clocks.filter((clock) => overdue(clock, now)).map(({ name }) => name);
    return { ...progress, recall_id: recallId, late };
  },
  whereabouts: ({ filings, rulings }) => whereabouts(rowsOf(filings), rowsOf(rulings)),
  near: ({ a, b, metres }) => isWithin(a, b, metres),
  view: ({ row, key, mutations }) => {
    const unconfirmed = mutations.map((one: Value) => savedFrom(encodeMutation(one)));
    return viewOf(orNull(row, wholeRow), key, unconfirmed);
  },
  base: ({ rows, changes }) => {
    const held = new Map(rowsOf(rows).map((row) => [keyOf(row.entity, row.id), row]));
    return basesOf(changes, (key) => held.get(key) ?? null);
  },
  form: (mutation) => {
    try {
      checkForm(mutation);
      return null;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [error.code, error.detail];
    }
  },
  encode: (mutation) => [encodeMutation(mutation), hashOf(encodeMutation(mutation))],
  runs: ({ mutations, room }) => {
    const waiting = mutations.map((one: Value) => savedFrom(encodeMutation(one)));
    return runsToSend(waiting, room).map(({ lane, signing, group }) => [lane, signing, group.map(({ n }) => n)]);
  },
  decode: (text) => orNull(decodeStamp(text), parts),
  stamp: (stamp) => encodeStamp(stampOf(stamp)),
  next: ({ last, now }) => parts(nextStamp(stampOf(last), now)),
};
