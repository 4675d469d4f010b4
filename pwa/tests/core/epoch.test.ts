/** What a restored centre is offered, and how lost words are told of. */

import { describe, expect, test } from 'vitest';
import type { Mutation, Proof, Row } from '../../src/core/contract.ts';
import { dotsOf, isUnseen, offersLeft, provenKeys, vainOffers } from '../../src/core/epoch.ts';
import { Refusal, checkForm, encodeMutation } from '../../src/core/mutation.ts';
import { byMaking, runsToSend, type Saved } from '../../src/core/outbox.ts';
import { basesOf, savedFrom, viewOf, voidOf } from '../../src/core/replica.ts';
import { notBelow, startAt } from '../../src/core/stamp.ts';
import { ME, REPLICA, T, row, saving, step, verdict } from '../store/world.ts';

const LAST = { wallMs: T, counter: 4, replica: REPLICA };
const lost = (n: number, hash: string | null) => ({ lane: 0, n, hash, reason: 'corrupt' as const });

/** A lane of steps, each naming the one before it, with the stamps given. */
function lane(stamps: number[], number = 0): Saved[] {
  let prev = '';
  return stamps.map((wall, i) => {
    const stamp = `${wall.toString(16).padStart(12, '0')}-0000-${REPLICA}`;
    const { intent, changes } = saving('target.step', [step(`s${number}-${i}`)]).meant;
    const head = { ...ME, lane: number, n: i + 1, prev, stamp, intent, changes };
    const saved = savedFrom(encodeMutation({ ...head, base: {}, after: [], guard: [], schema: 1 }));
    prev = saved.hash;
    return saved;
  });
}

describe('runs', () => {
  const numbers = (saved: Saved[]) => runsToSend(saved).map(({ group }) => group.map(({ n }) => n));

  test('follow the chain', () => expect(numbers(lane([1, 2, 3]))).toEqual([[1, 2, 3]]));

  test('break where a mutation does not name the one before it', () => {
    const [first, , third] = lane([1, 2, 3]);
    const other = lane([9, 8])[1]!;
    expect(numbers([first!, other, third!])).toEqual([[1], [2], [3]]);
  });

  test('break before and after a void, which stands alone', () => {
    const [first, second, third, fourth] = lane([1, 2, 3, 4]);
    const { saved } = voidOf(ME, lost(2, second!.hash), LAST, T);
    expect(numbers([first!, saved, third!, fourth!])).toEqual([[1], [2], [3, 4]]);
  });

  test('begin with a void of the first number, and do not go on from it', () => {
    const [first, second] = lane([1, 2]);
    expect(numbers([voidOf(ME, lost(1, first!.hash), LAST, T).saved, second!])).toEqual([[1], [2]]);
  });
});

describe('a void', () => {
  test('takes the number of the lost words, in their lane, and names their hash', () => {
    const { saved, stamp } = voidOf(ME, { lane: 2, n: 7, hash: 'f'.repeat(64), reason: 'corrupt' }, LAST, T);
    expect(saved.mutation).toMatchObject({ lane: 2, n: 7, prev: '', intent: 'lane.void' });
    expect(saved.mutation.changes[0]!.fields).toEqual({
      replica: REPLICA,
      of_lane: 2,
      n: 7,
      lost: 'f'.repeat(64),
      reason: 'corrupt',
      at: T,
    });
    expect(stamp).toEqual({ ...LAST, counter: 5 });
  });

  test('of a number that is not its own stands nowhere', () => {
    const { mutation } = voidOf(ME, lost(3, null), LAST, T).saved;
    const told = (mutation: Mutation) => () => checkForm(mutation);
    expect(told(mutation)).not.toThrow();
    expect(told({ ...mutation, n: 4 })).toThrow(new Refusal('bad_void'));
    expect(told({ ...mutation, lane: 9 })).toThrow(new Refusal('wrong_lane', '9'));
  });

  test('is made on a device whose clock stands before all times', () => {
    expect(voidOf(ME, lost(3, null), LAST, 5).saved.mutation.changes[0]!.fields.at).toBe(946_684_800_000);
  });
});

describe('own mutations', () => {
  test('lie in the order in which they were made though the clock was set back between two of them', () => {
    const made = [...lane([50, 60, 10, 20]), ...lane([5, 55, 70], 1)];
    const order = byMaking([...made].reverse().map((saved) => ({ saved })));
    expect(order.map(({ saved: { lane: at, n } }) => `${at}/${n}`)).toEqual([
      '1/1',
      '0/1',
      '1/2',
      '0/2',
      '0/3',
      '0/4',
      '1/3',
    ]);
  });

  test('name the dots that a removal removes', () => {
    const written = { ...row('contact', 'k1', 3, { name: '李' }), writes: { name: ['s', 'b/2/9', 'a/2/1'] } };
    const change = { op: 'remove', entity: 'contact', id: 'k1', fields: {} };
    expect(basesOf([change], () => written)).toEqual({ 'contact/k1': { name: ['b/2/9', 'a/2/1'] } });
  });
});

describe('an edit upon an own edit', () => {
  const contact = { ...row('contact', 'k1', 3, { name: '李' }), dot: 'c/2/1' };
  const edit = (n: number, seen: Row): Saved => {
    const change = { op: 'set' as const, entity: 'contact', id: 'k1', fields: { name: `李${n}` } };
    const head = { ...ME, lane: 2, n, prev: '', stamp: `00000000000${n}-0000-${REPLICA}`, intent: 'contact.edit' };
    const base = basesOf([change], () => seen);
    return savedFrom(encodeMutation({ ...head, changes: [change], base, after: [], guard: [], schema: 2 }));
  };
  const shownWith = (...saved: Saved[]): Row => viewOf(contact, 'contact/k1', saved)!;

  test('names the first one, and what that was based on', () => {
    const first = edit(1, contact);
    const second = edit(2, shownWith(first));
    expect(second.mutation.base).toEqual({ 'contact/k1': { name: [`${REPLICA}/2/1`, 'c/2/1'] } });
    const third = edit(3, shownWith(first, second));
    expect(third.mutation.base['contact/k1']!.name).toEqual([`${REPLICA}/2/2`, `${REPLICA}/2/1`, 'c/2/1']);
  });
});

describe('the stamp', () => {
  test('is not below the centre’s clock, and never goes back by it', () => {
    expect(notBelow(LAST, T + 5)).toEqual({ wallMs: T + 5, counter: 0, replica: REPLICA });
    expect(notBelow(LAST, T)).toBe(LAST);
    expect(notBelow(LAST, T - 5)).toBe(LAST);
  });

  test('begins anew at the centre’s clock where it was too far ahead', () => {
    expect(startAt(LAST, T - 5)).toEqual({ wallMs: T - 5, counter: 0, replica: REPLICA });
  });
});

describe('a row of the log before', () => {
  const edited = { ...row('target', 't1', 3, {}), dot: 'c/0/1', writes: { lead: ['s', 'r/0/4', 'q/0/2'] } };

  test('shows the dots of all its writes', () => expect(dotsOf(edited)).toEqual(['c/0/1', 'r/0/4', 'q/0/2']));

  test('is unseen unless every write can be brought back', () => {
    expect(isUnseen(edited, new Set(['c/0/1', 'r/0/4', 'q/0/2', 'x/0/1']))).toBe(false);
    expect(isUnseen(edited, new Set(['c/0/1', 'r/0/4']))).toBe(true);
  });

  test('is not reported once it was removed', () =>
    expect(isUnseen({ ...edited, removed: true }, new Set())).toBe(false));
});

describe('offers', () => {
  test('are left out once the centre has them, and go behind the others when nothing is said of them', () => {
    const told = [verdict('a/0/1', 'h', 5), verdict('d/0/1', 'h', 0, 'held')];
    const offers = ['a/0/1', 'b/0/1', 'c/0/1', 'd/0/1'];
    expect(offersLeft(offers, ['a/0/1', 'b/0/1'], told)).toEqual(['c/0/1', 'b/0/1']);
  });

  test('are vain where nobody could prove them, not where they were judged', () => {
    const told = [
      verdict('a/0/1', 'h', 0, 'refused'),
      verdict('b/0/1', 'h', 7, 'refused'),
      verdict('c/0/1', 'h', 0, 'quarantined'),
      verdict('x/0/1', 'h', 0, 'refused'),
    ];
    expect(vainOffers(['a/0/1', 'b/0/1', 'c/0/1'], told)).toEqual(['a/0/1']);
  });

  test('rest on the rows that the signed words touch', () => {
    const [saved] = lane([1]);
    const proof: Proof = { replica: REPLICA, lane: 0, n: 1, raw: saved!.raw, sig: 's' };
    expect(provenKeys(proof)).toEqual(['step/s0-0']);
    const others: Partial<Proof>[] = [{ n: 2 }, { lane: 1 }, { replica: 'x' }, { raw: '{' }, { raw: 'null' }];
    for (const other of others) expect(provenKeys({ ...proof, ...other })).toBeNull();
  });
});
