/** Laws of the folds: facts come in any order and more than once, and progress never goes back within a round. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Row } from '../../src/core/contract.ts';
import { progressOf, roundOf, type Facts } from '../../src/core/fold.ts';
import { STEPS } from '../../src/core/intents.ts';
import { CLOCKS, NO_FACTS, T, row } from '../store/world.ts';

const DIRECTIVE = row('directive', 'd1', 1, { urgency: 'flash', at: T, clocks: CLOCKS.flash, version: 1 });
const about = { target: 't1', directive: 'd1', unit: 'u1' };

const steps: fc.Arbitrary<Row[]> = fc
  .array(
    fc.record({
      step: fc.constantFrom(...STEPS.slice(1)),
      round: fc.integer({ min: 1, max: 3 }),
      at: fc.nat(99),
      arrived: fc.nat(99),
    }),
    { maxLength: 8 },
  )
  .map((all) =>
    all.map(({ step, round, at, arrived }, i) => ({
      ...row('step', `s${i}`, i, { ...about, step, round, at: T + at, version: 1, route: 'device' }),
      dot: `r/0/${i + 1}`,
      arrived: arrived ? T + arrived : 0,
    })),
  );
const rounds: fc.Arbitrary<Row[]> = fc
  .subarray([2, 3])
  .map((all) => all.map((round) => row('round', `r${round}`, round, { ...about, round, at: T + round })));
const recalls: fc.Arbitrary<Row[]> = fc
  .array(fc.record({ round: fc.integer({ min: 1, max: 3 }), at: fc.nat(99), rank: fc.nat(7) }), { maxLength: 3 })
  .map((all) =>
    all.map(({ round, at, rank }, i) => ({
      ...row('recall', `c${i}`, i, { ...about, round, at: T + at, rank_seen: rank, reason: 'x' }),
      dot: `c/0/${i + 1}`,
    })),
  );
const facts: fc.Arbitrary<Facts> = fc.record({ steps, rounds, recalls }).map((some) => ({ ...NO_FACTS, ...some }));

const shuffled = <T>(all: readonly T[], by: number): T[] =>
  all
    .map((one, i) => ({ one, at: (i * 7 + by) % 11 }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);

describe('progress', () => {
  test('is the same in whatever order the facts came', () => {
    fc.assert(
      fc.property(facts, fc.nat(10), (some, by) => {
        const again = {
          ...some,
          steps: shuffled(some.steps, by),
          rounds: shuffled(some.rounds, by),
          recalls: shuffled(some.recalls, by),
        };
        expect(progressOf(DIRECTIVE, again)).toEqual(progressOf(DIRECTIVE, some));
      }),
    );
  });

  test('does not go back when another step of the round comes', () => {
    fc.assert(
      fc.property(facts, (some) => {
        const now = progressOf(DIRECTIVE, some);
        const less = progressOf(DIRECTIVE, { ...some, steps: some.steps.slice(1) });
        return now.rank >= less.rank;
      }),
    );
  });

  test('does not count what older rounds did', () => {
    fc.assert(
      fc.property(facts, (some) => {
        const round = roundOf(some.rounds);
        const present = some.steps.filter((one) => one.fields.round === round);
        const without = progressOf(DIRECTIVE, { ...some, steps: present });
        expect({ ...progressOf(DIRECTIVE, some), old: [] }).toEqual({ ...without, old: [] });
      }),
    );
  });
});
