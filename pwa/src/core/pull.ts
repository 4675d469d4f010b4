/** How a device takes a page, and how far it has come. */

import type { Cursors, Row } from './contract.ts';
import { keyOf, type Key } from './rows.ts';

/** The cursors once everything of (scope, lane) up to `seq` is stored. Never moves back. */
export function advance(cursors: Cursors, scope: string, lane: number, seq: number): Cursors {
  const lanes = cursors[scope] ?? {};
  return { ...cursors, [scope]: { ...lanes, [lane]: Math.max(lanes[lane] ?? 0, seq) } };
}

/** The seq up to which every held scope is complete in this lane. */
export function reached(cursors: Cursors, lane: number): number {
  const scopes = Object.values(cursors);
  return scopes.length ? Math.min(...scopes.map((lanes) => lanes[lane] ?? 0)) : 0;
}

/** A row of this seq replaces the one held: it is not older, for entering a scope changes no seq. */
export function replaces(seq: number, heldSeq: number | null): boolean {
  return heldSeq === null || seq >= heldSeq;
}

/** The rows of a page that are not older than those held: entering a scope changes no seq. */
export function takeRows(held: ReadonlyMap<Key, Row>, rows: readonly Row[]): Map<Key, Row> {
  const taken = new Map<Key, Row>();
  for (const row of rows) {
    const key = keyOf(row.entity, row.id);
    if (replaces(row.seq, held.get(key)?.seq ?? null)) taken.set(key, row);
  }
  return taken;
}
