/** Rows for the tests of these screens. */

import type { Row } from '../../src/core/contract.ts';
import { parentOf } from '../../src/core/rows.ts';
import { encodeStamp } from '../../src/core/stamp.ts';
import type { EntityName } from '../../src/core/entities.ts';
import type { Reader } from '../../src/ui/views/shared/order.ts';
import { CLOCKS } from '../store/world.ts';

export const NOW = Date.parse('2026-11-24T10:42:00+08:00');
export const UNIT = 'u-water';

export const stampAt = (ms: number): string => encodeStamp({ wallMs: ms, counter: 0, replica: 'srv' });

let made = 0;

export function row(entity: EntityName, id: string, fields: Row['fields'], more: Partial<Row> = {}): Row {
  made += 1;
  const [dot, stamp] = [`srv/1/${made}`, stampAt(NOW - 3_600_000)];
  const empty = {
    seq: made,
    dot,
    stamp,
    actor: 'p-c',
    arrived: NOW,
    writes: {},
    open: {},
    removed: false,
    home: 'srv',
    provisional: false,
  };
  return { entity, id, fields, ...empty, ...more };
}

/** A device that holds these rows. */
export function holding(rows: readonly Row[]): Reader {
  return {
    rows: (entity) => rows.filter((one) => one.entity === entity),
    row: (entity, id) => rows.find((one) => one.entity === entity && one.id === id) ?? null,
    children: (entity, parent) => rows.filter((one) => one.entity === entity && parentOf(one) === parent),
  };
}

/** An order with the steps already taken; each step a minute after the one before. */
export function orderRows(id: string, urgency: string, steps: readonly string[] = [], kind = 'dispatch'): Row[] {
  const at = NOW - 600_000;
  const directive = `d-${id}`;
  const clocks = CLOCKS[urgency];
  const about = { target: id, directive, unit: UNIT, round: 1 };
  return [
    row('directive', directive, { incident: 'i1', kind, urgency, version: 1, text: '排水', clocks, at }),
    row('target', id, { directive, incident: 'i1', unit: UNIT }),
    ...steps.map((step, i) =>
      row('step', `${id}-${step}`, { ...about, at: at + (i + 1) * 60_000, step, version: 1, route: 'device' }),
    ),
  ];
}

export function recallOf(id: string, rankSeen: number): Row {
  const fields = { target: id, directive: `d-${id}`, unit: UNIT, round: 1, at: NOW - 60_000, reason: '已退水' };
  return row('recall', `r-${id}`, { ...fields, rank_seen: rankSeen });
}
