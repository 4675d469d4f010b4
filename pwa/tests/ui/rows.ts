/** Orders as rows, for the tests of the screens: short to write, true to the contract. */

import type { Row } from '../../src/core/contract.ts';
import type { EntityName } from '../../src/core/entities.ts';
import type { Order, Reader } from '../../src/ui/views/shared/order.ts';
import { orderOf } from '../../src/ui/views/shared/order.ts';
import { CLOCKS } from '../store/world.ts';

export const NOON = Date.UTC(2026, 6, 1, 4, 0); // 12:00 in the city
export const MINUTE = 60_000;

let seq = 0;

export function rowOf(entity: EntityName, id: string, fields: Record<string, unknown>, more: Partial<Row> = {}): Row {
  seq += 1;
  const base = { entity, id, seq, dot: `c/0/${seq}`, stamp: String(seq), actor: 'centre', arrived: NOON };
  return { ...base, fields, writes: {}, open: {}, removed: false, home: 'c1', provisional: false, ...more };
}

/** A device that only holds rows. */
export function holding(rows: readonly Row[]): Reader {
  const of = (entity: EntityName) => rows.filter((row) => row.entity === entity);
  return {
    rows: of,
    row: (entity, id) => of(entity).find((row) => row.id === id) ?? null,
    children: (entity, parent) =>
      of(entity).filter((row) => row.fields[entity === 'help_answer' ? 'help_call' : 'target'] === parent),
  };
}

interface OrderShape {
  id?: string;
  urgency?: string;
  kind?: string;
  level?: string;
  at?: number;
  steps?: readonly string[];
  facts?: readonly Row[];
}

/** The rows of one order of unit `u`, with the given steps taken in round 1. */
export function orderRows(shape: OrderShape = {}): Row[] {
  const { id = 't', urgency = 'urgent', kind = 'dispatch', level = null, at = NOON, steps = [], facts = [] } = shape;
  const directive = { no: id, kind, urgency, version: 1, text: '', clocks: CLOCKS[urgency], at };
  return [
    rowOf('incident_summary', `i-${id}`, { title: id, level }),
    rowOf('directive', `d-${id}`, { ...directive, incident: `i-${id}` }),
    rowOf('target', id, { directive: `d-${id}`, incident: `i-${id}`, unit: 'u' }),
    ...steps.map((step, i) => factOf('step', `${id}-${step}`, { target: id, step, at: at + i + 1, version: 1 })),
    ...facts,
  ];
}

export function factOf(entity: EntityName, id: string, fields: Record<string, unknown>, more: Partial<Row> = {}): Row {
  return rowOf(entity, id, { target: 't', directive: 'd-t', unit: 'u', round: 1, at: NOON, ...fields }, more);
}

export function recallOf(fields: Record<string, unknown> = {}): Row {
  return factOf('recall', 'rc', { at: NOON + MINUTE, reason: 'done elsewhere', rank_seen: 0, ...fields });
}

export function anOrder(shape: OrderShape = {}): Order {
  const order = orderOf(holding(orderRows(shape)), shape.id ?? 't');
  if (!order) throw new Error('no order');
  return order;
}
