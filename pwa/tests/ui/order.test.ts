import { describe, expect, it } from 'vitest';
import {
  clocksOf,
  finished,
  laterActs,
  late,
  mustStop,
  nextAct,
  orderOf,
  ordersOf,
  runningClock,
} from '../../src/ui/views/shared/order.ts';
import { anOrder, factOf, holding, MINUTE, NOON, orderRows, recallOf } from './rows.ts';

describe('the next step', () => {
  it('is signing, however little is known', () => {
    expect(nextAct(anOrder())).toBe('signed');
    expect(nextAct(anOrder({ steps: ['received', 'read'] }))).toBe('signed');
  });
  it('follows the highest step and lets every later one be taken instead', () => {
    const order = anOrder({ steps: ['signed', 'departed'] });
    expect(nextAct(order)).toBe('arrived');
    expect(laterActs(order)).toEqual(['acting', 'reported']);
  });
  it('ends with reporting done', () => {
    expect(nextAct(anOrder({ steps: ['reported'] }))).toBeNull();
    expect(laterActs(anOrder({ steps: ['reported'] }))).toEqual([]);
  });
  it('sends nobody out for a notice, but allows it', () => {
    const order = anOrder({ kind: 'notice', steps: ['signed'] });
    expect(nextAct(order)).toBe('reported');
    expect(laterActs(order)).toEqual(['departed', 'arrived', 'acting']);
  });
  it('begins again in a new round', () => {
    const facts = [factOf('round', 'r2', { round: 2, reason: 'sent_back', note: 'photos' })];
    const order = anOrder({ steps: ['signed', 'reported'], facts });
    expect(nextAct(order)).toBe('signed');
    expect(order.progress.old.map((mark) => mark.step)).toEqual(['signed', 'reported']);
  });
});

describe('a recall', () => {
  it('leaves nothing but stopping', () => {
    const order = anOrder({ steps: ['signed'], facts: [recallOf({ rank_seen: 3 })] });
    expect([mustStop(order), nextAct(order), laterActs(order)]).toEqual([true, null, []]);
    expect(clocksOf(order).map((clock) => clock.name)).toEqual(['stop']);
  });
  it('is over once stopping is confirmed', () => {
    const stop = factOf('stop', 's', { recall: 'rc', at: NOON + 2 * MINUTE });
    const order = anOrder({ steps: ['signed'], facts: [recallOf({ rank_seen: 3 }), stop] });
    expect([mustStop(order), finished(order), runningClock(order)]).toEqual([false, true, null]);
  });
  it('still asks to stop while the centre weighs work done without knowing', () => {
    const arrived = factOf('step', 'a', { step: 'arrived', at: NOON + 2 * MINUTE, version: 1 });
    expect(mustStop(anOrder({ facts: [recallOf(), arrived] }))).toBe(true);
  });
  it('gives the order back when the centre accepts the result', () => {
    const ruling = factOf('ruling', 'x', { recall: 'rc', verdict: 'accept_result' });
    const order = anOrder({ steps: ['arrived'], facts: [recallOf(), ruling] });
    expect([mustStop(order), nextAct(order)]).toEqual([false, 'acting']);
  });
});

describe('clocks', () => {
  it('show the one that runs out first, and when it is late', () => {
    const order = anOrder({ urgency: 'flash' });
    expect(runningClock(order)?.name).toBe('sign');
    expect(late(order, NOON + MINUTE)).toBe(false);
    expect(late(order, NOON + MINUTE + 1)).toBe(true);
  });
});

describe('the list', () => {
  const listed = (...lists: ReturnType<typeof orderRows>[]) =>
    ordersOf(holding(lists.flat()), 'u').map((order) => order.id);

  it('puts the more urgent first, then the higher level, then the unsigned', () => {
    expect(
      listed(
        orderRows({ id: 'routine', urgency: 'routine' }),
        orderRows({ id: 'signed', steps: ['signed'], level: 'III' }),
        orderRows({ id: 'new', level: 'III' }),
        orderRows({ id: 'grave', level: 'II', steps: ['signed'] }),
        orderRows({ id: 'flash', urgency: 'flash', steps: ['arrived'] }),
      ),
    ).toEqual(['flash', 'grave', 'new', 'signed', 'routine']);
  });
  it('puts what must stop before all, and what is done behind', () => {
    expect(
      listed(
        orderRows({ id: 'closed', urgency: 'flash', steps: ['closed'] }),
        orderRows({ id: 'reported', urgency: 'flash', steps: ['reported'] }),
        orderRows({ id: 'open', urgency: 'routine' }),
        orderRows({ id: 't', urgency: 'routine', facts: [recallOf()] }),
      ),
    ).toEqual(['t', 'open', 'reported', 'closed']);
  });
  it('holds only what is of the unit, and whole', () => {
    const [, , target] = orderRows();
    expect(orderOf(holding([target!]), 't')).toBeNull();
    expect(ordersOf(holding(orderRows()), 'another')).toEqual([]);
  });
});
