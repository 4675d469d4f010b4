/** The vectors that Python and TypeScript both answer to. tests/sync/test_vectors.py reads the same files. */

import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { canonical } from '../../src/core/canonical.ts';
import type { Mutation, Row, Value } from '../../src/core/contract.ts';
import { asText, digestOf, ofText, rowDigest, total } from '../../src/core/digest.ts';
import { overdue, progressOf } from '../../src/core/fold.ts';
import { isDisputed, resolve } from '../../src/core/merge.ts';
import { isWithin, whereabouts } from '../../src/core/moves.ts';
import { Refusal, checkForm, encodeMutation, hashOf, signingText } from '../../src/core/mutation.ts';
import { runsToSend, settled } from '../../src/core/outbox.ts';
import { advance, reached } from '../../src/core/pull.ts';
import { recallRule } from '../../src/core/recall.ts';
import { savedFrom } from '../../src/core/replica.ts';
import { wholeRow } from '../../src/core/rows.ts';
import { hex, sha256, sha256Hex } from '../../src/core/sha256.ts';
import { decodeStamp, encodeStamp, nextStamp, type Stamp } from '../../src/core/stamp.ts';
import { NO_FACTS } from '../store/world.ts';

const FOLDER = new URL('../../../tests/vectors/', import.meta.url);
type Case = { name: string } & Record<string, Value>;
type Parts = [number, number, string];

/** What the centre alone computes, and Python alone answers to. */
const OF_THE_CENTRE = new Set(['stamp/observe', 'stamp/restamp', 'fold/state', 'pull/take']);

function casesOf(file: string): Case[] {
  const every: Case[] = JSON.parse(readFileSync(new URL(`${file}.json`, FOLDER), 'utf8'));
  return every.filter(({ call, kind }) => !OF_THE_CENTRE.has(`${file}/${call ?? kind}`));
}
const stampOf = ([wallMs, counter, replica]: Parts): Stamp => ({ wallMs, counter, replica });
const partsOf = (stamp: Stamp | null): Parts | null => stamp && [stamp.wallMs, stamp.counter, stamp.replica];
const rowOf = (plain: Value): Row => wholeRow(plain as Row);
const savedOf = (mutation: Mutation) => savedFrom(encodeMutation(mutation));

const stampCalls: Record<string, (one: Case) => void> = {
  encode: (one) => expect(encodeStamp(stampOf(one.stamp))).toBe(one.text),
  decode: (one) => expect(partsOf(decodeStamp(one.text))).toEqual(one.stamp),
  next: (one) => expect(partsOf(nextStamp(stampOf(one.last), one.now))).toEqual(one.stamp),
  order: (one) => expect([...one.texts].sort()).toEqual(one.texts),
};

const canonicalKinds: Record<string, (one: Case) => void> = {
  value: (one) => {
    expect(canonical(one.value)).toBe(one.text);
    expect(sha256Hex(one.text)).toBe(one.sha256);
  },
  sha256: (one) => {
    const bytes = Uint8Array.from((one.hex as string).match(/../g) ?? [], (pair) => parseInt(pair, 16));
    expect(hex(sha256(bytes))).toBe(one.sha256);
  },
  mutation: (one) => {
    const { realm, replica, lane, n } = one.mutation;
    expect(encodeMutation(one.mutation)).toBe(one.raw);
    expect(hashOf(one.raw)).toBe(one.hash);
    expect(signingText(realm, replica, lane, n, one.hash)).toBe(one.signing);
  },
  surrogate: (one) => {
    const change = { op: 'create', entity: 'step', id: 'x', fields: { note: String.fromCharCode(...one.units) } };
    const raw = encodeMutation({ changes: [change], guard: [] } as unknown as Mutation);
    expect(JSON.parse(raw).changes[0].fields.note).toBe(one.text);
  },
};

function checkMerge(one: Case): void {
  for (const writes of [one.writes, [...one.writes].reverse(), [...one.writes, ...one.writes]]) {
    const state = resolve(one.policy, writes, one.choices);
    expect(state.live.dot).toBe(one.live);
    expect(state.live.value).toEqual(one.value);
    expect(state.open.map((write) => write.dot)).toEqual(one.open);
    expect(state.heads.map((write) => write.dot)).toEqual(one.heads);
    expect(isDisputed(state)).toBe(one.disputed);
  }
}

function checkFormCase(one: Case): void {
  let found: [string | null, string | null] = [null, null];
  try {
    checkForm(one.mutation);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    found = [error.code, error.detail];
  }
  expect(found).toEqual([one.code, one.detail]);
}

const foldKinds: Record<string, (one: Case) => void> = {
  progress: (one) => {
    const given = Object.entries(one.facts as Record<string, Value[]>);
    const facts = { ...NO_FACTS, ...Object.fromEntries(given.map(([name, rows]) => [name, rows.map(rowOf)])) };
    const { recallId, ...progress } = progressOf(rowOf(one.directive), facts);
    expect({ ...progress, recall_id: recallId }).toEqual(one.progress);
    for (const [now, late] of Object.entries(one.overdue)) {
      const found = progress.clocks.filter((clock) => overdue(clock, Number(now))).map((clock) => clock.name);
      expect(found).toEqual(late);
    }
  },
  recall: (one) => expect(recallRule(one.recall, one.step)).toBe(one.rule),
  position: (one) => expect(whereabouts(one.moves.map(rowOf)).position).toEqual(one.position),
};

const movesKinds: Record<string, (one: Case) => void> = {
  near: (one) => {
    expect(isWithin(one.a, one.b, one.metres)).toBe(one.near);
    expect(isWithin(one.b, one.a, one.metres)).toBe(one.near);
  },
  whereabouts: (one) => {
    const filings: Row[] = one.filings.map(rowOf);
    const rulings: Row[] = (one.rulings ?? []).map(rowOf);
    for (const order of [filings, [...filings].reverse(), [...filings.slice(1), ...filings.slice(0, 1)]]) {
      const found = whereabouts(order, rulings.reverse());
      expect(found.position).toEqual(one.position);
      expect(found.moves.map((move) => move.points.map((point) => point.filing))).toEqual(one.moves);
      expect(found.track.map((point) => point.filing)).toEqual(one.track);
      const flagged = found.track.filter((point) => point.flag).map((point) => [point.filing, point.flag]);
      expect(Object.fromEntries(flagged)).toEqual(one.flags);
    }
  },
};

const outboxKinds: Record<string, (one: Case) => void> = {
  settled: (one) => expect(settled(savedOf(one.saved), one.verdict)).toBe(one.settled),
  runs: (one) => {
    const runs = runsToSend(one.saved.map(savedOf), one.room);
    const found = runs.map(({ lane, signing, group }) => ({ lane, signing, numbers: group.map(({ n }) => n) }));
    expect(found).toEqual(one.runs);
  },
};

const pullKinds: Record<string, (one: Case) => void> = {
  advance: (one) => expect(advance(one.cursors, one.scope, one.lane, one.seq)).toEqual(one.after),
  reached: (one) => expect(reached(one.cursors, one.lane)).toBe(one.seq),
  // Whole devices: tests/store/traces.test.ts follows them with the real store.
  trace: (one) => expect(one.steps.length).toBeGreaterThan(0),
};

const digestKinds: Record<string, (one: Case) => void> = {
  row: (one) => expect(asText(rowDigest(rowOf(one.row)))).toBe(one.digest),
  counted: (one) => expect(asText(digestOf(rowOf(one.row)))).toBe(one.digest),
  total: (one) => expect(asText(total(one.digests.map(ofText)))).toBe(one.sum),
};

const of =
  (kinds: Record<string, (one: Case) => void>, by: string) =>
  (one: Case): void =>
    kinds[one[by] as string]!(one);

const CHECKS: Record<string, (one: Case) => void> = {
  stamp: of(stampCalls, 'call'),
  canonical: of(canonicalKinds, 'kind'),
  digest: of(digestKinds, 'kind'),
  merge: checkMerge,
  form: checkFormCase,
  fold: of(foldKinds, 'kind'),
  moves: of(movesKinds, 'kind'),
  outbox: of(outboxKinds, 'kind'),
  pull: of(pullKinds, 'kind'),
};

for (const [file, check] of Object.entries(CHECKS)) {
  describe(file, () => {
    test.each(casesOf(file).map((one) => [one.name, one] as const))('%s', (_name, one) => check(one));
  });
}

test('every vector file is read here', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  expect(files.map((name) => name.replace('.json', '')).sort()).toEqual(Object.keys(CHECKS).sort());
});
