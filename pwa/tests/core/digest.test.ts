/** Laws of the sums: no order, no grouping, and nothing that differs between copies makes a difference. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byCodePoint } from '../../src/core/canonical.ts';
import type { Row } from '../../src/core/contract.ts';
import { asText, digestOf, ofText, rowDigest, total } from '../../src/core/digest.ts';
import { row } from '../store/world.ts';

const sums = fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { maxLength: 20 });
const values = fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('.'));
const rows: fc.Arbitrary<Row> = fc
  .record({ id: fc.string({ unit: 'grapheme', maxLength: 5 }), name: fc.string({ unit: 'binary' }), more: values })
  .map(({ id, name, more }) => row('unit', id, 3, { name, more }));

describe('a sum', () => {
  test('is the same in any order', () => {
    const shuffled = sums.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })),
    );
    fc.assert(fc.property(shuffled, ([all, again]) => total(again) === total(all)));
  });

  test('of parts is the sum of all, and taking away undoes adding', () => {
    fc.assert(
      fc.property(sums, sums, (some, others) => {
        expect(total([total(some), total(others)])).toBe(total([...some, ...others]));
        expect(total([total([...some, ...others]), ...others.map((one) => -one)])).toBe(total(some));
      }),
    );
  });

  test('survives its text', () => {
    fc.assert(fc.property(sums, (all) => ofText(asText(total(all))) === total(all)));
    expect(asText(total([]))).toBe('0');
  });
});

describe('the digest of a row', () => {
  test('does not see when it came, where it stands in the log, or how its names were ordered', () => {
    fc.assert(
      fc.property(rows, fc.nat(), (one, seq) => {
        const reversed = Object.fromEntries(Object.entries(one.fields).reverse());
        expect(rowDigest({ ...one, seq, arrived: seq, fields: reversed })).toBe(rowDigest(one));
      }),
    );
  });

  test.each(['entity', 'id', 'dot', 'stamp', 'actor', 'home'] as const)('sees another %s', (name) => {
    const one = row('unit', 'u1', 3, { name: '一队' });
    expect(rowDigest({ ...one, [name]: 'x' })).not.toBe(rowDigest(one));
  });

  test('sees another value, write or dispute', () => {
    const one = row('unit', 'u1', 3, { name: '一队' });
    const others = [{ fields: { name: '二队' } }, { writes: { name: ['s', 'd'] } }, { open: { name: [] } }];
    for (const other of others) expect(rowDigest({ ...one, ...other })).not.toBe(rowDigest(one));
  });

  test('counts for nothing while the row is removed or provisional', () => {
    const one = row('unit', 'u1', 3, {});
    expect(digestOf({ ...one, removed: true })).toBe(0n);
    expect(digestOf({ ...one, provisional: true })).toBe(0n);
    expect(digestOf(one)).toBe(rowDigest(one));
  });
});

test('names are ordered as their code points are', () => {
  const text = fc.string({ unit: 'binary', maxLength: 4 });
  const points = (one: string): number[] => Array.from(one, (char) => char.codePointAt(0)!);
  const slowly = (a: string, b: string): number => {
    const [left, right] = [points(a), points(b)];
    const at = left.findIndex((point, i) => point !== right[i]);
    return at < 0 ? left.length - right.length : (left[at] ?? -1) - (right[at] ?? -1);
  };
  fc.assert(fc.property(text, text, (a, b) => Math.sign(byCodePoint(a, b)) === Math.sign(slowly(a, b))));
});
