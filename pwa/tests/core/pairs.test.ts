/** Which part of an answer still fits, and how often a pair that differs begins anew. */

import { describe, expect, test } from 'vitest';
import { MINUTE_MS } from '../../src/core/contract.ts';
import {
  cursorOf,
  fits,
  fromStart,
  isRepairDue,
  pairKey,
  repairAfter,
  splitPairKey,
  wentBack,
  withoutScopes,
  type Pair,
} from '../../src/core/pairs.ts';

const PAIR: Pair = ['unit/u 1', 2];
const at = (seq: number) => ({ [PAIR[0]]: { '2': seq } });

describe('cursors', () => {
  test('of a pair that begins anew are at 0, and its scope stays known', () => {
    expect(fromStart({ ...at(5), other: { '0': 3 } }, PAIR)).toEqual({ [PAIR[0]]: {}, other: { '0': 3 } });
    expect(cursorOf(fromStart(at(5), PAIR), PAIR)).toBe(0);
  });

  test('of lost scopes are gone', () => {
    expect(withoutScopes({ ...at(5), other: { '0': 3 } }, [PAIR[0]])).toEqual({ other: { '0': 3 } });
  });

  test('are named by one text for one pair', () => {
    expect(splitPairKey(pairKey(...PAIR))).toEqual(PAIR);
  });
});

describe('an answer', () => {
  const taken = (here: number, asked: number, upto: number, restarts = false) =>
    fits(at(here), { asked: at(asked), upto }, PAIR, restarts);

  test('fits where it was asked from', () => expect(taken(5, 5, 9)).toBe(true));
  test('fits where another one has brought part of it', () => expect(taken(7, 5, 9)).toBe(true));
  test('does not fit when a later one was taken before it', () => expect(taken(12, 5, 9)).toBe(false));
  test('does not fit when the pair has begun anew since, for it would leave a hole', () => {
    expect(taken(3, 5, 9)).toBe(false);
  });
  test('that begins anew fits whatever was asked, unless a later one was taken', () => {
    expect(taken(3, 5, 9, true)).toBe(true);
    expect(taken(12, 5, 9, true)).toBe(false);
  });
  test('of a log that went back fits, and shows it', () => {
    expect(taken(12, 12, 9, true)).toBe(true);
    expect(wentBack({ asked: at(12), upto: 9 }, PAIR)).toBe(true);
    expect(wentBack({ asked: at(9), upto: 9 }, PAIR)).toBe(false);
  });
});

describe('a pair that differs', () => {
  test('begins anew at once, then after one minute, two, four, and at most an hour', () => {
    expect(isRepairDue(null, 0)).toBe(true);
    let repair = repairAfter(null, 0);
    const waits = [1, 2, 3, 4, 5, 6, 7, 8].map(() => {
      const wait = repair.due;
      repair = repairAfter(repair, 0);
      return wait / MINUTE_MS;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  test('is not held up by a clock that was set back', () => {
    const repair = repairAfter(null, 100 * 60 * MINUTE_MS);
    expect(isRepairDue(repair, repair.due - 1)).toBe(false);
    expect(isRepairDue(repair, repair.due)).toBe(true);
    expect(isRepairDue(repair, 0)).toBe(true);
  });
});
