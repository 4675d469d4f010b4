import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRealEnter } from '../src/ui/parts/enter.ts';
import { holding } from '../src/ui/parts/hold.ts';
import { lightOfRank } from '../src/ui/parts/light.ts';
import { clockText, remaining } from '../src/ui/parts/time.ts';
import { visibleSpan } from '../src/ui/parts/window.ts';

describe('visibleSpan', () => {
  it('covers what is on screen, stays inside the list and stays small, wherever one scrolls', () => {
    const nat = (max: number) => fc.integer({ min: 0, max });
    fc.assert(
      fc.property(
        nat(2_000_000),
        nat(2000),
        fc.integer({ min: 20, max: 200 }),
        nat(20_000),
        nat(10),
        (top, height, row, count, over) => {
          const { start, end } = visibleSpan(top, height, row, count, over);
          expect(start).toBeGreaterThanOrEqual(0);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(end).toBeLessThanOrEqual(count);
          expect(end - start).toBeLessThanOrEqual(Math.ceil(height / row) + 1 + 2 * over);
          for (const y of [top, top + height - 1]) {
            const index = Math.floor(y / row);
            if (height > 0 && index < count) expect(index >= start && index < end).toBe(true);
          }
        },
      ),
    );
  });
});

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

describe('holding', () => {
  function held() {
    let next: ((now: number) => void) | null = null;
    const log = { done: 0, share: 0 };
    const hold = holding(
      1000,
      (share) => (log.share = share),
      () => log.done++,
      (step) => ((next = step), 1),
      () => (next = null),
    );
    const tick = (now: number) => {
      const step = next;
      next = null;
      step?.(now);
    };
    return { hold, tick, log };
  }
  it('fires once after the time, not before', () => {
    const { hold, tick, log } = held();
    hold.start();
    hold.start();
    tick(0);
    tick(999);
    expect(log).toEqual({ done: 0, share: 0.999 });
    tick(1000);
    tick(2000);
    expect(log).toEqual({ done: 1, share: 0 });
  });
  it('starts from nothing again when let go', () => {
    const { hold, tick, log } = held();
    hold.start();
    tick(0);
    tick(900);
    hold.cancel();
    hold.start();
    tick(950);
    tick(1100);
    expect(log.done).toBe(0);
  });
});
