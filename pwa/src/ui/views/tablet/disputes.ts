/** Disputed fields: who says what, and the decision that settles them. Pure but for the device it reads. */

import type { Change, EntityName, Row, Value } from '../../../core/contract.ts';
import { baseOf, keyOf } from '../../../core/rows.ts';
import { decodeStamp } from '../../../core/stamp.ts';
import type { Reader } from '../shared/order.ts';

/** One rival value and its author. `at` is by the author's device. */
export interface Side {
  dot: string;
  value: Value;
  actor: string;
  at: number;
}

export interface Dispute {
  conflict: Row;
  /** Null when the row has gone from this device. */
  row: Row | null;
  field: string;
  sides: Side[];
  /** This device has a decision that the centre has not confirmed yet. */
  decidedHere: boolean;
}

const sideOf = ({ dot, value, actor, stamp }: Record<string, Value>): Side => ({
  dot,
  value,
  actor,
  at: decodeStamp(stamp)?.wallMs ?? 0,
});

/** All values of a field, as every screen that shows it must show them: one, or the rivals side by side. */
export function valuesOf(row: Row, field: string): Value[] {
  const open = row.open[field];
  if (!open?.length) return [row.fields[field] ?? null];
  return [...new Set(open.map((side) => side.value))];
}

export function isDisputed(row: Row, field: string): boolean {
  return (row.open[field]?.length ?? 0) > 0;
}

/** What waits for this unit to decide, newest first. */
export function openDisputes(device: Reader, unit: string): Dispute[] {
  return device
    .rows('conflict')
    .filter(({ fields }) => fields.state === 'open' && fields.needs === 'unit' && fields.unit === unit)
    .map((conflict) => disputeOf(device, conflict))
    .sort((a, b) => lastOf(b) - lastOf(a));
}

export function disputeOf(device: Reader, conflict: Row): Dispute {
  const { row_entity, row_id, field } = conflict.fields;
  const row = device.row(row_entity as EntityName, row_id);
  const known: Record<string, Value>[] = conflict.fields.sides ?? [];
  const open = row?.open[field];
  const live = open?.length ? [] : (row?.writes[field] ?? []);
  const decidedHere = live.length > 0 && known.every((side) => side.dot !== live[1] && side.stamp < live[0]!);
  return { conflict, row, field, sides: (open?.length ? open : known).map(sideOf), decidedHere };
}

const lastOf = (dispute: Dispute): number => Math.max(0, ...dispute.sides.map((side) => side.at));

/** What was settled without this unit, or by a person, newest first. */
export function settledOf(device: Reader, unit: string): Dispute[] {
  return device
    .rows('conflict')
    .filter(({ fields }) => fields.unit === unit && (fields.state === 'auto' || fields.state === 'decided'))
    .map((conflict) => ({ ...disputeOf(device, conflict), sides: conflict.fields.sides.map(sideOf) }))
    .sort((a, b) => b.conflict.arrived - a.conflict.arrived);
}

export interface Decision {
  changes: Change[];
  base: Record<string, Record<string, string[]>>;
}

/** Settles every value that the person saw; one that comes later stays open. */
export function decisionOf(row: Row, field: string, value: Value): Decision {
  const open = row.open[field];
  const dots = open?.length ? open.map((side) => side.dot as string) : baseOf(row, field);
  return {
    changes: [{ op: 'set', entity: row.entity, id: row.id, fields: { [field]: value } }],
    base: { [keyOf(row.entity, row.id)]: { [field]: dots } },
  };
}
