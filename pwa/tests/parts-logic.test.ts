import { describe, expect, it } from 'vitest';
import { isRealEnter } from '../src/ui/parts/enter.ts';
import { lightOfRank } from '../src/ui/parts/light.ts';
import { clockText, remaining } from '../src/ui/parts/time.ts';

describe('deadlines', () => {
  it('turn overdue only after the moment itself', () => {
    expect(remaining(10_000, 9_001)).toEqual({ overdue: false, seconds: 1 });
    expect(remaining(10_000, 10_000)).toEqual({ overdue: false, seconds: 0 });
    expect(remaining(10_000, 71_999)).toEqual({ overdue: true, seconds: 61 });
  });
  it('count hours, not days', () => {
    expect([75, 3675, 360_000].map(clockText)).toEqual(['01:15', '1:01:15', '100:00:00']);
  });
});

it('the light never goes back while the rank rises, and a rank of a newer version is not dark', () => {
  const order = ['waiting', 'unread', 'read', 'signed', 'fed-back'];
  const seen = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 99].map((rank) => order.indexOf(lightOfRank(rank)));
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.slice(-1)).toEqual([4]);
});

it('Enter inside an input method is not an Enter', () => {
  const key = { key: 'Enter', isComposing: false, keyCode: 13 };
  expect(isRealEnter(key)).toBe(true);
  expect(isRealEnter({ ...key, isComposing: true })).toBe(false);
  expect(isRealEnter({ ...key, keyCode: 229 })).toBe(false);
});
