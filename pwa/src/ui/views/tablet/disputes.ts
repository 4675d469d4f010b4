/** Disputed fields: who says what, and the decision that settles them. Pure but for the device it reads. */

import type { Change, Row, Value } from '../../../core/contract.ts';
import { byRuled } from '../../../core/moves.ts';
import { baseOf, keyOf } from '../../../core/rows.ts';
import { decodeStamp } from '../../../core/stamp.ts';
import type { EntityName } from '../../../core/entities.ts';
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
  /** What decided between filings of a machine's move, if somebody has. */
  ruling: Row | null;
}

const sideOf = ({ dot, value, actor, stamp, at }: Record<string, Value>): Side => ({
  dot,
  value,
  actor,
  at: at ?? decodeStamp(stamp)?.wallMs ?? 0,
});

/** Two people filed one machine's move differently: a ruling settles it, no edit. */
export const isOfFilings = ({ conflict }: Dispute): boolean => conflict.fields.rule === '4.3#12';

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
  const sides = (open?.length ? open : known).map(sideOf);
  const dispute: Dispute = { conflict, row, field, sides, decidedHere, ruling: null };
  if (!isOfFilings(dispute)) return dispute;
  const rulings = device.children('move_ruling', row_id).filter((one) => settles(one, dispute));
  const ruling = rulings.sort(byRuled).pop() ?? null;
  return { ...dispute, ruling, decidedHere: ruling !== null };
}

/** The ruling is for one of these filings, over all that say otherwise. */
function settles({ fields }: Row, dispute: Dispute): boolean {
  const chosen = dispute.sides.find(({ value }) => value.filing === fields.filing);
  return !!chosen && othersThan(chosen.value, dispute).every((id) => fields.over.includes(id));
}

/** The filings that do not say the same as this one. */
const othersThan = (value: Value, { sides }: Dispute): string[] =>
  sides.filter((side) => side.value.move !== value.move).map((side) => side.value.filing as string);

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

/** Rules for one filing of a machine's move, over those that the person saw beside it. */
export function rulingOf(dispute: Dispute, value: Value, id: string, at: number): Decision {
  const { row_id: equipment, unit } = dispute.conflict.fields;
  const fields = { equipment, unit, filing: value.filing, over: othersThan(value, dispute), at };
  return { changes: [{ op: 'create', entity: 'move_ruling', id, fields }], base: {} };
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
