/** The outbox: mutations saved as the bytes that will travel, until a final verdict names them. */

import { MUTATIONS_PER_PUSH_MAX, type Mutation, type Verdict } from './contract.ts';
import { FIRST_PREV, dotOf, signingText } from './mutation.ts';

/** Verdicts after which the server keeps the words; `held` is not final. */
export const FINAL: ReadonlySet<string> = new Set(['applied', 'merged', 'refused', 'quarantined']);

/** One mutation in the outbox: its number, exact text and hash. */
export interface Saved {
  lane: number;
  n: number;
  raw: string;
  hash: string;
  mutation: Mutation;
}

export function dotOfSaved(saved: Saved): string {
  return dotOf(saved.mutation.replica, saved.lane, saved.n);
}

/** The end of one lane's chain: the number and hash of its newest mutation. */
export interface Tip {
  n: number;
  hash: string;
}

export const NO_TIP: Tip = { n: 0, hash: FIRST_PREV };

/** A contiguous run of one lane, and the text that its signature must cover. */
export interface UnsignedRun {
  lane: number;
  signing: string;
  group: Saved[];
}

/** What waits, lane 0 first, in contiguous runs of at most `room` mutations in all. Signing is left to the caller. */
export function runsToSend(outbox: readonly Saved[], room: number = MUTATIONS_PER_PUSH_MAX): UnsignedRun[] {
  const waiting = [...outbox].sort((a, b) => a.lane - b.lane || a.n - b.n).slice(0, room);
  return contiguous(waiting).map((group) => {
    const last = group[group.length - 1]!;
    const { realm, replica } = last.mutation;
    return { lane: last.lane, signing: signingText(realm, replica, last.lane, last.n, last.hash), group };
  });
}

function contiguous(waiting: Saved[]): Saved[][] {
  const groups: Saved[][] = [];
  for (const saved of waiting) {
    const group = groups[groups.length - 1];
    const last = group?.[group.length - 1];
    if (group && last && last.lane === saved.lane && last.n + 1 === saved.n) group.push(saved);
    else groups.push([saved]);
  }
  return groups;
}

/** An item leaves only on a final verdict that names its dot and its hash. */
export function settled(saved: Saved, verdict: Verdict): boolean {
  return FINAL.has(verdict.verdict) && verdict.dot === dotOfSaved(saved) && verdict.hash === saved.hash;
}
