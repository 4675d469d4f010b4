import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/core/contract.ts';
import { baseOf } from '../../src/core/rows.ts';
import { overlaid } from '../../src/core/replica.ts';
import { savedFrom } from '../../src/core/replica.ts';
import { encodeMutation } from '../../src/core/mutation.ts';
import { decisionOf, isDisputed, openDisputes, settledOf, valuesOf } from '../../src/ui/views/tablet/disputes.ts';
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
