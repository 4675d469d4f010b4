/** How a device takes a page, and how far it has come. */

import type { Cursors } from './contract.ts';

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
