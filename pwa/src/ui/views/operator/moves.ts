/** Filings of a machine's moves: what is known, what is prefilled, what is still missing. Pure. */

import type { Change, Row, Value } from '../../../core/contract.ts';
import { byObserved, recent, ruledOut, whereabouts, type Position } from '../../../core/moves.ts';
import type { EntityName } from '../../../core/entities.ts';
import { placeFields } from '../shared/acts.ts';
import type { Fix } from '../shared/place.ts';

export type MoveKind = 'move' | 'hand_over' | 'stop' | 'resume';
export const MOVE_KINDS: readonly MoveKind[] = ['move', 'hand_over', 'stop', 'resume'];

export interface MoveForm {
  kind: MoveKind;
  place: string;
  manager: string;
  manager_phone: string;
  operator: string;
  operator_phone: string;
  note: string;
}

export interface Reader {
  rows(entity: EntityName): Row[];
  children(entity: EntityName, parent: string): Row[];
}

export interface Machine {
  equipment: Row;
  /** The newest of each person, newest first. */
  moves: Row[];
  position: Position | null;
  /** What the card or a later filing says of its use. */
  status: 'available' | 'in_use' | 'out_of_service';
}

/** A person's machines; all that this device holds when none names the person. */
export function machinesOf(device: Reader, person: string): Machine[] {
  const every = device.rows('equipment');
  const mine = every.filter((row) => row.fields.operator_person === person);
  return (mine.length ? mine : every).map((equipment) => machineOf(device, equipment)).sort(byName);
}

const byName = (a: Machine, b: Machine) => (a.equipment.id < b.equipment.id ? -1 : 1);

export function machineOf(device: Reader, equipment: Row): Machine {
  const filed = device.children('equipment_move', equipment.id);
  const moves = recent(filed, byObserved).sort(newestFirst);
  const { position } = whereabouts(moves, device.children('move_ruling', equipment.id));
  return { equipment, moves, position, status: statusOf(equipment, filed) };
}

/** By device time; the later written of two that name the same moment. */
export const newestFirst = (a: Row, b: Row) => b.fields.at - a.fields.at || (a.stamp < b.stamp ? 1 : -1);

/** A stop or resume filed after the card was last given a status goes before the card. */
function statusOf(equipment: Row, moves: readonly Row[]): Machine['status'] {
  const [filed] = moves.filter(({ fields }) => fields.kind === 'stop' || fields.kind === 'resume').sort(newestFirst);
  const card = equipment.fields.status;
  const cardStamp = equipment.writes.status?.[0] ?? equipment.stamp;
  if (!filed || filed.stamp < cardStamp) return card;
  if (filed.fields.kind === 'stop') return 'out_of_service';
  return card === 'out_of_service' ? 'available' : card;
}

/** The form as it opens: people from the last filing, else from the card, else the person who files. */
export function prefilled(machine: Machine, filer: string): MoveForm {
  const card = machine.equipment.fields;
  const last = machine.moves[0];
  const people = last && last.stamp > (newestPeopleWrite(machine.equipment) ?? '') ? last.fields : card;
  const text = (value: Value, spare: Value = '') => String(value || spare || '');
  return {
    kind: machine.status === 'out_of_service' ? 'resume' : 'move',
    place: '',
    manager: text(people.manager, card.manager),
    manager_phone: text(people.manager_phone, card.manager_phone),
    operator: text(people.operator, card.operator || filer),
    operator_phone: text(people.operator_phone, card.operator_phone),
    note: '',
  };
}

/** When a person last changed the card's people, if anybody ever did. */
function newestPeopleWrite(equipment: Row): string | null {
  const names = ['manager', 'manager_phone', 'operator', 'operator_phone'];
  const stamps = names.flatMap((name) => equipment.writes[name]?.[0] ?? []).sort();
  return stamps[stamps.length - 1] ?? null;
}

export type Missing = 'place' | 'manager' | 'operator' | 'operator_phone';

/** What a filing still needs: people always, a place when the machine moved. */
export function missingOf(form: MoveForm, fix: Fix | null): Missing[] {
  const missing: Missing[] = [];
  if (form.kind === 'move' && !form.place.trim() && !fix) missing.push('place');
  for (const name of ['manager', 'operator', 'operator_phone'] as const) if (!form[name].trim()) missing.push(name);
  return missing;
}

/** The filing, for `device.write('move.file', …)`. Empty fields are left out. */
export function moveChange(equipment: Row, form: MoveForm, fix: Fix | null, id: string, at: number): Change {
  const said = Object.entries({ ...trimmed(form), ...placeFields(form.place, fix) });
  const fields = Object.fromEntries(said.filter(([, value]) => value !== '' && value !== null));
  return {
    op: 'create',
    entity: 'equipment_move',
    id,
    fields: { equipment: equipment.id, unit: equipment.fields.unit, at, ...fields },
  };
}

const trimmed = (form: MoveForm): Record<string, string> =>
  Object.fromEntries(Object.entries(form).map(([name, value]) => [name, value.trim()]));

/** A person ruled against this filing: another one of the same machine stands. */
export const isRuledOut = (device: Reader, move: Row): boolean =>
  ruledOut(device.children('move_ruling', move.fields.equipment)).has(move.id);

/** What this person filed from this device's view, newest first. */
export function filedBy(device: Reader, actor: string): Row[] {
  return device
    .rows('equipment_move')
    .filter((row) => row.actor === actor)
    .sort(newestFirst);
}
