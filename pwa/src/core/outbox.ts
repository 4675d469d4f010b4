/** The outbox: mutations saved as the bytes that will travel, until a final verdict names them. */

import { MUTATIONS_PER_PUSH_MAX, type Mutation, type Verdict } from './contract.ts';
import { FIRST_PREV, VOID, dotOf, signingText } from './mutation.ts';

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

/** A run of one lane, each naming the hash of the one before it, and the text that its signature must cover. */
export interface UnsignedRun {
  lane: number;
  signing: string;
  group: Saved[];
}

/** What waits, lane 0 first, in chained runs of at most `room` mutations in all. Signing is left to the caller. */
export function runsToSend(outbox: readonly Saved[], room: number = MUTATIONS_PER_PUSH_MAX): UnsignedRun[] {
  const waiting = [...outbox].sort(byNumber).slice(0, room);
  return chained(waiting).map((group) => {
    const last = group[group.length - 1]!;
    const { realm, replica } = last.mutation;
    return { lane: last.lane, signing: signingText(realm, replica, last.lane, last.n, last.hash), group };
  });
}

function chained(waiting: Saved[]): Saved[][] {
  const groups: Saved[][] = [];
  for (const saved of waiting) {
    const group = groups[groups.length - 1];
    if (group && follows(group[group.length - 1]!, saved)) group.push(saved);
    else groups.push([saved]);
  }
  return groups;
}

/** The signature of the later one proves the earlier one too; a void proves nothing but itself. */
function follows(last: Saved, saved: Saved): boolean {
  const next = last.lane === saved.lane && last.n + 1 === saved.n;
  return next && saved.mutation.intent !== VOID && saved.mutation.prev === last.hash;
}

/** Urgent lanes first, then as numbered. */
export function byNumber(a: Saved, b: Saved): number {
  return a.lane - b.lane || a.n - b.n;
}

/**
 * In the order in which they were made: within a lane as numbered, across lanes by stamp. A clock that was set back
 * gives a later mutation an earlier stamp, so stamps alone would not do.
 */
export function byMaking<T extends { saved: Saved }>(records: readonly T[]): T[] {
  const lanes = new Map<number, T[]>();
  for (const record of [...records].sort((a, b) => byNumber(a.saved, b.saved))) {
    const lane = lanes.get(record.saved.lane);
    if (lane) lane.push(record);
    else lanes.set(record.saved.lane, [record]);
  }
  const queues = [...lanes.values()].map((queue) => ({ queue, at: 0 }));
  const made: T[] = [];
  while (made.length < records.length) {
    const open = queues.filter(({ queue, at }) => at < queue.length);
    const first = open.reduce((a, b) => (stampAt(b) < stampAt(a) ? b : a));
    made.push(first.queue[first.at++]!);
  }
  return made;
}

function stampAt<T extends { saved: Saved }>({ queue, at }: { queue: T[]; at: number }): string {
  return queue[at]!.saved.mutation.stamp;
}

/**
 * An item leaves only on a final verdict that names its dot and its hash. Words that the centre could not read say no
 * dot of their own; their hash names them.
 */
export function settled(saved: Saved, verdict: Verdict): boolean {
  const named = verdict.dot === dotOfSaved(saved) || verdict.dot === '';
  return FINAL.has(verdict.verdict) && named && verdict.hash === saved.hash;
}
