/** Laws of the merge: any order and any repetition of the same writes give the same state. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resolve, type Write } from '../../src/core/merge.ts';
import { POLICIES } from '../../src/core/entities.ts';

const REPLICAS = ['a', 'b', 'c'];
const CHOICES = ['x', 'y'];

/** Writes as real devices make them: each names some of the dots that stood before it. */
const histories: fc.Arbitrary<Write[]> = fc
  .array(
    fc.record({
      replica: fc.constantFrom(...REPLICAS),
      lane: fc.constantFrom(1, 2),
      seen: fc.array(fc.nat(20), { maxLength: 3 }),
      wall: fc.nat(5),
      authority: fc.nat(2),
      value: fc.constantFrom('x', 'y', null, 1),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((drafts) => {
    const counts = new Map<string, number>();
    const dots: string[] = [];
    return drafts.map(({ replica, lane, seen, wall, authority, value }) => {
      const n = (counts.get(replica + lane) ?? 0) + 1;
      counts.set(replica + lane, n);
      const dot = `${replica}/${lane}/${n}`;
      const base = [...new Set(seen.map((at) => dots[at]).filter((one) => one !== undefined))];
      dots.push(dot);
      return { dot, base, stamp: `00000000000${wall}-0000-${replica}`, actor: replica, authority, value };
    });
  });

const shuffled = histories.chain((writes) =>
  fc.tuple(
    fc.constant(writes),
    fc.shuffledSubarray([...writes, ...writes], { minLength: writes.length * 2, maxLength: writes.length * 2 }),
  ),
);

describe.each(POLICIES)('%s', (policy) => {
  test('any order and any repetition give the same state', () => {
    fc.assert(
      fc.property(shuffled, ([writes, again]) => {
        expect(resolve(policy, again, CHOICES)).toEqual(resolve(policy, writes, CHOICES));
      }),
    );
  });

  test('what stands was written by somebody, and the heads are never empty', () => {
    fc.assert(
      fc.property(histories, (writes) => {
        const state = resolve(policy, writes, CHOICES);
        expect(writes).toContainEqual(state.live);
        expect(state.heads.length).toBeGreaterThan(0);
      }),
    );
  });

  test('a decision that names every head leaves nothing open', () => {
    fc.assert(
      fc.property(histories, (writes) => {
        const base = resolve(policy, writes).heads.map((head) => head.dot);
        const decision = { dot: 'z/1/1', base, stamp: '000000000000-0000-z', actor: 'z', authority: 0, value: 'final' };
        expect(resolve(policy, [...writes, decision]).open).toEqual([]);
        expect(resolve(policy, [...writes, decision]).heads).toEqual([decision]);
      }),
    );
  });
});
