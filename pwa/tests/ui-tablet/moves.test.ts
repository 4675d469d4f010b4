import { describe, expect, it } from 'vitest';
import { holds } from '../../src/core/fields.ts';
import { ENTITIES } from '../../src/core/entities.ts';
import { INTENTS } from '../../src/core/intents.ts';
import {
  filedBy,
  isRuledOut,
  machineOf,
  machinesOf,
  missingOf,
  moveChange,
  prefilled,
  type MoveForm,
} from '../../src/ui/views/operator/moves.ts';
import { NOW, UNIT, holding, row, stampAt } from './rows.ts';

const card = {
  ...{ unit: UNIT, kind: 'excavator', name: '挖掘机 3 号', status: 'available', base: '北山物资库' },
  ...{ manager: '高翔', manager_phone: '138', operator: '孙国强', operator_phone: '137', operator_person: 'p-op' },
};
const equipment = row('equipment', 'e1', card, { stamp: stampAt(NOW - 9_000_000) });
const filing = (id: string, fields: object, at: number) =>
  row(
    'equipment_move',
    id,
    {
      equipment: 'e1',
      unit: UNIT,
      kind: 'move',
      at,
      manager: '高翔',
      operator: '吴志刚',
      operator_phone: '130',
      ...fields,
    },
    { actor: 'p-op', stamp: stampAt(at) },
  );
const machine = (...moves: ReturnType<typeof filing>[]) => machineOf(holding([equipment, ...moves]), equipment);
const fix = { lat_e6: 44_577_000, lon_e6: 129_620_000, accuracy_m: 14, at: NOW };

describe('my machines', () => {
  it('are those that name me, else all that this device holds', () => {
    const other = row('equipment', 'e2', { ...card, operator_person: null });
    const device = holding([equipment, other]);
    expect(machinesOf(device, 'p-op').map((one) => one.equipment.id)).toEqual(['e1']);
    expect(machinesOf(device, 'p-x').map((one) => one.equipment.id)).toEqual(['e1', 'e2']);
  });
  it('stand where they were last observed, not where the last filing came from', () => {
    const late = filing('late', { place: '旧地' }, NOW - 7000);
    const known = filing('known', { place: '新地' }, NOW - 3000);
    expect(machine(known, late).position?.place).toBe('新地');
    expect(machine(filing('nowhere', { kind: 'hand_over' }, NOW), known).position?.place).toBe('新地');
  });
  it('show the newest filings of each person, and what was said of their use however long ago', () => {
    const stop = filing('s', { kind: 'stop' }, NOW - 90_000);
    const moves = Array.from({ length: 30 }, (_, n) => filing(`m${n}`, { place: '新地' }, NOW - 60_000 + n));
    const found = machine(stop, ...moves);
    expect([found.moves.length, found.moves[0]!.id, found.status]).toEqual([20, 'm29', 'out_of_service']);
  });
  it('are out of use from a stop to a resume, unless the card was given a status since', () => {
    const stop = filing('s', { kind: 'stop' }, NOW - 5000);
    expect(machine(stop).status).toBe('out_of_service');
    expect(machine(stop, filing('r', { kind: 'resume' }, NOW - 4000)).status).toBe('available');
    const card = { ...equipment, writes: { status: [stampAt(NOW), 'a/2/1'] } };
    expect(machineOf(holding([card, stop]), card).status).toBe('available');
  });
});

describe('a filing is filled in', () => {
  it('from the card', () => {
    expect(prefilled(machine(), '')).toEqual({
      ...{ kind: 'move', place: '', note: '' },
      ...{ manager: '高翔', manager_phone: '138', operator: '孙国强', operator_phone: '137' },
    });
  });
  it('from the last filing, which knows more; what it left out from the card', () => {
    const form = prefilled(machine(filing('m', {}, NOW - 5000)), '');
    expect([form.operator, form.operator_phone, form.manager_phone]).toEqual(['吴志刚', '130', '138']);
  });
  it('from the card again once its people were changed after that', () => {
    const changed = { ...equipment, writes: { operator: [stampAt(NOW), 'a/2/1'] } };
    const form = prefilled(machineOf(holding([changed, filing('m', {}, NOW - 5000)]), changed), '');
    expect(form.operator).toBe('孙国强');
  });
  it('with the person who files when nobody else is known', () => {
    const bare = row('equipment', 'e9', { unit: UNIT, kind: 'crane', name: '吊车', status: 'available' });
    expect(prefilled(machineOf(holding([bare]), bare), '孙国强').operator).toBe('孙国强');
  });
  it('as a return to use when the machine is out of use', () => {
    expect(prefilled(machine(filing('s', { kind: 'stop' }, NOW - 5000)), '').kind).toBe('resume');
  });
});

describe('a filing needs', () => {
  const form: MoveForm = prefilled(machine(), '');

  it('a place when the machine moved, typed or found, and no place otherwise', () => {
    expect(missingOf(form, null)).toEqual(['place']);
    expect(missingOf({ ...form, place: '江南大桥' }, null)).toEqual([]);
    expect(missingOf(form, fix)).toEqual([]);
    expect(missingOf({ ...form, kind: 'stop' }, null)).toEqual([]);
  });
  it('the people whom the notice names', () => {
    const nobody = { ...form, manager: ' ', operator: '', operator_phone: '' };
    expect(missingOf(nobody, fix)).toEqual(['manager', 'operator', 'operator_phone']);
  });
  it('and then is a filing that any server takes', () => {
    for (const at of [fix, null]) {
      const change = moveChange(equipment, { ...form, place: at ? '' : ' 江南大桥 ' }, at, 'm9', NOW);
      expect(INTENTS['move.file']!.writes[change.entity]).toContain(change.op);
      const fields = ENTITIES.equipment_move!.fields;
      for (const [name, value] of Object.entries(change.fields)) expect(holds(fields[name]!, value), name).toBe(true);
      for (const [name, field] of Object.entries(fields)) {
        if (field.required) expect(change.fields[name], name).toBeDefined();
      }
      expect(change.fields.place).toBe(at ? undefined : '江南大桥');
      expect(change.fields.lat_e6).toBe(at?.lat_e6);
    }
  });
});

it('my filings are mine, newest first', () => {
  const theirs = { ...filing('x', {}, NOW), actor: 'p-x' };
  const device = holding([filing('a', {}, NOW - 9000), filing('b', {}, NOW - 1000), theirs]);
  expect(filedBy(device, 'p-op').map((one) => one.id)).toEqual(['b', 'a']);
});

it('tells who filed that a person ruled against it, on a device that holds the ruling', () => {
  const moves = [filing('a', { place: '旧地' }, NOW - 5000), filing('b', { place: '新地' }, NOW)];
  const ruling = row('move_ruling', 'r', { equipment: 'e1', unit: UNIT, filing: 'x', over: ['b'], at: NOW });
  const told = (...more: ReturnType<typeof filing>[]) =>
    moves.map((move) => isRuledOut(holding([equipment, ...moves, ...more]), move));
  expect([told(), told(ruling)]).toEqual([
    [false, false],
    [false, true],
  ]);
});
