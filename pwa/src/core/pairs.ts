/** Pairs of scope and lane: which part of an answer still fits what is here, and which pairs must begin anew. */

import { MINUTE_MS, type Cursors } from './contract.ts';

/** `[scope, lane]`. */
export type Pair = [string, number];

/** `lane scope`: one text for one pair. */
export type PairKey = string;

export function pairKey(scope: string, lane: number): PairKey {
  return `${lane} ${scope}`;
}

export function splitPairKey(key: PairKey): Pair {
  const space = key.indexOf(' ');
  return [key.slice(space + 1), Number(key.slice(0, space))];
}

export function cursorOf(cursors: Cursors, [scope, lane]: Pair): number {
  return cursors[scope]?.[lane] ?? 0;
}

/** The cursors with this pair at its beginning; the scope stays known. */
export function fromStart(cursors: Cursors, [scope, lane]: Pair): Cursors {
  const lanes = Object.entries(cursors[scope] ?? {}).filter(([name]) => name !== String(lane));
  return { ...cursors, [scope]: Object.fromEntries(lanes) };
}

export function withoutScopes(cursors: Cursors, scopes: readonly string[]): Cursors {
  return Object.fromEntries(Object.entries(cursors).filter(([name]) => !scopes.includes(name)));
}

/** One answer and the cursors of the request that it answers. */
export interface Exchange {
  asked: Cursors;
  upto: number;
}

/**
 * True when an answer's part of this pair may be taken at the present `cursors`: it leaves no hole behind what is
 * here, and what is here does not come from a later answer, for two requests may be under way at once.
 */
export function fits(cursors: Cursors, { asked, upto }: Exchange, pair: Pair, restarts: boolean): boolean {
  const [here, before] = [cursorOf(cursors, pair), cursorOf(asked, pair)];
  return (restarts || before <= here) && (here <= upto || here === before);
}

/** The centre's log ends before what it gave this device: it went back, and nobody said so. */
export function wentBack({ asked, upto }: Exchange, pair: Pair): boolean {
  return cursorOf(asked, pair) > upto;
}

/** How often a pair was begun anew because it differed, and when it may be again. */
export interface Repair {
  tries: number;
  due: number;
}

const REPAIR_MS_MAX = 60 * MINUTE_MS;

/** The pair differs once more; at first it begins anew at once, then less and less often. */
export function repairAfter(past: Repair | null, nowMs: number): Repair {
  const tries = (past?.tries ?? 0) + 1;
  return { tries, due: nowMs + Math.min(REPAIR_MS_MAX, MINUTE_MS * 2 ** (tries - 1)) };
}

/** Whether a pair that differs begins anew now; a clock that was set back does not hold it up. */
export function isRepairDue(past: Repair | null, nowMs: number): boolean {
  return past === null || nowMs >= past.due || nowMs < past.due - REPAIR_MS_MAX;
}
