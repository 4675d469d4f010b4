import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/core/contract.ts';
import { baseOf } from '../../src/core/rows.ts';
import { overlaid } from '../../src/core/replica.ts';
import { savedFrom } from '../../src/core/replica.ts';
import { encodeMutation } from '../../src/core/mutation.ts';
import { machineOf } from '../../src/ui/views/operator/moves.ts';
import {
  decisionOf,
  isDisputed,
  isOfFilings,
  openDisputes,
  rulingOf,
  settledOf,
  valuesOf,
} from '../../src/ui/views/tablet/disputes.ts';
import { isIdle, moved, shortcutOf } from '../../src/ui/views/tablet/keys.ts';
import { NOW, UNIT, holding, row, stampAt } from './rows.ts';

const side = (dot: string, value: string, at: number) => ({ dot, value, actor: 'p', stamp: stampAt(at) });
const sides = [side('a/2/4', '139', NOW - 5000), side('b/2/7', '138', NOW - 4000)];
const phone = row(
  'contact_phone',
  'p1',
  { unit: UNIT, contact: 'c1', kind: 'mobile', number: '135' },
  { writes: { number: [stampAt(NOW - 9000), 'srv/1/1', 'a/2/4', 'b/2/7'] }, open: { number: sides } },
);

function conflict(id: string, more: Record<string, unknown> = {}): Row {
  const about = { row_entity: 'contact_phone', row_id: 'p1', field: 'number', sides, rule: '4.3#16', unit: UNIT };
  return row('conflict', id, { ...about, state: 'open', needs: 'unit', ...more });
}

describe('a disputed number', () => {
  it('shows every value while it is open, one when it is not', () => {
    expect(valuesOf(phone, 'number')).toEqual(['139', '138']);
    expect(valuesOf({ ...phone, open: {} }, 'number')).toEqual(['135']);
    expect(isDisputed(phone, 'kind')).toBe(false);
  });
  it('is settled by one set that names every value the person saw', () => {
    expect(decisionOf(phone, 'number', '138')).toEqual({
      changes: [{ op: 'set', entity: 'contact_phone', id: 'p1', fields: { number: '138' } }],
      base: { 'contact_phone/p1': { number: ['a/2/4', 'b/2/7'] } },
    });
    for (const { dot } of sides) expect(baseOf(phone, 'number')).toContain(dot);
  });
});

describe('the inbox', () => {
  it('holds what waits for this unit, and nothing else', () => {
    const others = [
      conflict('centre', { needs: 'centre' }),
      conflict('theirs', { unit: 'u-other' }),
      conflict('auto', { state: 'auto', needs: null }),
      conflict('gone', { state: 'superseded' }),
    ];
    const device = holding([phone, conflict('mine'), ...others]);
    expect(openDisputes(device, UNIT).map((one) => one.conflict.id)).toEqual(['mine']);
    expect(settledOf(device, UNIT).map((one) => one.conflict.id)).toEqual(['auto']);
  });
  it('shows a decision made here as decided, although the centre has not said so', () => {
    const { changes, base } = decisionOf(phone, 'number', '138');
    const mutation = { replica: 'me', lane: 1, n: 3, prev: '', realm: 'x', stamp: stampAt(NOW), session: 's' };
    const rest = { actor: 'p', intent: 'conflict.decide_own', changes, base, after: [], guard: [], schema: 1 };
    const decided = overlaid(phone, changes[0]!, savedFrom(encodeMutation({ ...mutation, ...rest })))!;
    const before = openDisputes(holding([phone, conflict('c')]), UNIT)[0]!;
    const after = openDisputes(holding([decided, conflict('c')]), UNIT)[0]!;
    expect([before.decidedHere, after.decidedHere]).toEqual([false, true]);
    expect(after.sides.map((one) => one.value)).toEqual(['139', '138']);
  });
  it('keeps a dispute that came before its row, and one whose row is gone', () => {
    const early: Row = { ...phone, writes: {}, open: {} };
    expect(openDisputes(holding([early, conflict('c')]), UNIT)[0]).toMatchObject({ decidedHere: false });
    expect(openDisputes(holding([conflict('c')]), UNIT)[0]).toMatchObject({ row: null, decidedHere: false });
  });
});

describe('filings of one move that contradict each other', () => {
  const crane = row('equipment', 'e1', { unit: UNIT, kind: 'crane', name: '吊车', status: 'available' });
  const filed = (filing: string, move: string, place: string, at: number) => ({
    dot: `${filing}/1/1`,
    value: { filing, move, kind: 'move', place, lat_e6: null, lon_e6: null, accuracy_m: null },
    actor: filing,
    stamp: stampAt(NOW),
    at,
  });
  const told = [
    filed('op', 'op', '桥东', NOW - 9000),
    filed('mate', 'op', '桥东', NOW - 8000),
    filed('duty', 'duty', '桥西', NOW - 7000),
  ];
  const about = { row_entity: 'equipment', row_id: 'e1', field: 'position', sides: told, rule: '4.3#12', unit: UNIT };
  const open = row('conflict', 'c', { ...about, state: 'open', needs: 'unit', winner: 'mate/1/1' });
  const disputeWith = (...more: Row[]) => openDisputes(holding([crane, open, ...more]), UNIT)[0]!;
  const ruling = (value: unknown) => rulingOf(disputeWith(), value, 'r1', NOW);

  it('wait for the unit with every filing, at the time that it tells of', () => {
    expect(disputeWith().sides.map(({ value, at }) => [value.filing, at])).toEqual([
      ['op', NOW - 9000],
      ['mate', NOW - 8000],
      ['duty', NOW - 7000],
    ]);
    expect([isOfFilings(disputeWith()), disputeWith().decidedHere]).toEqual([true, false]);
    expect(isOfFilings(openDisputes(holding([phone, conflict('n')]), UNIT)[0]!)).toBe(false);
  });
  it('are settled by a ruling over those that say otherwise, not over a witness', () => {
    const fields = { equipment: 'e1', unit: UNIT, filing: 'op', over: ['duty'], at: NOW };
    expect(ruling(told[0]!.value)).toEqual({
      changes: [{ op: 'create', entity: 'move_ruling', id: 'r1', fields }],
      base: {},
    });
    expect(ruling(told[2]!.value).changes[0]!.fields.over).toEqual(['op', 'mate']);
  });
  it('are shown as decided once this device ruled, until the centre says so', () => {
    const made = row('move_ruling', 'r1', ruling(told[2]!.value).changes[0]!.fields);
    expect(disputeWith(made)).toMatchObject({ decidedHere: true, ruling: { id: 'r1' } });
  });
  it('wait on where a ruling did not know of one of them', () => {
    const fields = { equipment: 'e1', unit: UNIT, filing: 'duty', over: ['op'], at: NOW };
    expect(disputeWith(row('move_ruling', 'r1', fields))).toMatchObject({ decidedHere: false, ruling: null });
  });
  it('are shown as the later ruling decided, whatever time its author typed', () => {
    const rulings = [told[2]!, told[0]!].map(({ value }, n) => {
      const { fields } = ruling(value).changes[0]!;
      const stamp = stampAt(NOW - 9000 + n * 1000);
      return row('move_ruling', `r${n}`, { ...fields, at: NOW + 60_000 - n * 90_000 }, { stamp });
    });
    expect(disputeWith(...rulings)).toMatchObject({ ruling: { id: 'r1' } });
    expect(disputeWith(...rulings.reverse())).toMatchObject({ ruling: { id: 'r1' } });
  });
  it('leave the machine where the ruling says', () => {
    const people = { manager: 'm', operator: 'o', operator_phone: '1', equipment: 'e1', unit: UNIT, kind: 'move' };
    const moves = told.map(({ value, actor, at }) =>
      row('equipment_move', value.filing, { ...people, at, place: value.place }, { actor, dot: `${actor}/1/1` }),
    );
    const where = (...more: Row[]) => machineOf(holding([crane, ...moves, ...more]), crane).position;
    expect(where()).toMatchObject({ place: '桥西', to_check: ['op', 'mate'] });
    const made = row('move_ruling', 'r1', ruling(told[0]!.value).changes[0]!.fields);
    expect(where(made)).toMatchObject({ place: '桥东', witnesses: ['op', 'mate'], to_check: [] });
  });
});

describe('the keys', () => {
  const pressed = { key: 'r', ctrlKey: false, altKey: false, metaKey: false, isComposing: false };

  it('are letters that nobody is typing', () => {
    expect(shortcutOf(pressed, false)).toBe('r');
    expect(shortcutOf({ ...pressed, key: 'R' }, false)).toBe('r');
    expect(shortcutOf({ ...pressed, key: '?' }, false)).toBe('help');
    expect(shortcutOf(pressed, true)).toBeNull();
    expect(shortcutOf({ ...pressed, isComposing: true }, false)).toBeNull();
    expect(shortcutOf({ ...pressed, ctrlKey: true }, false)).toBeNull();
    expect(shortcutOf({ ...pressed, key: 'x' }, false)).toBeNull();
  });
  it('arrows skip an empty column and stop at the edge', () => {
    expect(moved([0, 2], 'ArrowRight', [3, 0, 2])).toEqual([2, 1]);
    expect(moved([2, 0], 'ArrowLeft', [3, 0, 2])).toEqual([0, 0]);
    expect(moved([0, 0], 'ArrowDown', [3])).toEqual([0, 1]);
    expect(moved([0, 2], 'ArrowDown', [3])).toBeNull();
    expect(moved([0, 0], 'ArrowLeft', [3])).toBeNull();
    expect(moved([0, 0], 'Enter', [3])).toBeNull();
  });
  it('arrows lead from no card to the first one of the first column that has any', () => {
    for (const key of ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight'])
      expect(moved(null, key, [0, 2, 1])).toEqual([1, 0]);
    expect(moved(null, 'ArrowDown', [0, 0, 0])).toBeNull();
    expect(moved(null, 'Enter', [1])).toBeNull();
  });
  it('do so from the page or its title, not from a button or a field', () => {
    const on = (tag: string) => ({ matches: (any: string) => any.split(', ').includes(tag) });
    expect([null, on('body'), on('h1'), on('main')].map(isIdle)).toEqual([true, true, true, true]);
    expect([on('button'), on('input'), on('a')].map(isIdle)).toEqual([false, false, false]);
  });
  it('are heard wherever the focus is', () => {
    const board = readFileSync(new URL('../../src/ui/views/tablet/Board.svelte', import.meta.url), 'utf8');
    expect(board).toContain('<svelte:window onkeydown={arrows} />');
  });
});
