/**
 * One field's state is a fold of the set of its writes: the same set gives the same answer.
 *
 * Concurrency is judged by dots: a write that another one names in its base is behind it; the writes that nobody
 * names are the heads. One head: no dispute. More: the field's policy settles it.
 */

import { byText, canonical } from './canonical.ts';
import type { Value } from './contract.ts';
import { splitDot } from './mutation.ts';
import { decodeStamp } from './stamp.ts';
import type { Policy } from './entities.ts';

/** One write of one field: who wrote it, on what it was based, and what it says. */
export interface Write {
  dot: string;
  base: string[];
  /** Dots that its author named too, not at the home by then: they count once they come, if their time lets them. */
  claims?: string[];
  stamp: string;
  actor: string;
  authority: number;
  value: Value;
}

/** What stands. `open` is empty unless a person must decide; `heads` are the rivals, if any. */
export interface FieldState {
  live: Write;
  open: Write[];
  heads: Write[];
}

/**
 * The writes that no other write follows, in the order of their dots. Never empty.
 *
 * A person's earlier edit in one lane of one replica is behind their later one, named or not; two people at the same
 * replica have not seen each other's.
 */
export function headsOf(writes: Iterable<Write>): Write[] {
  const known = byDot(writes);
  const behind = new Set<string>();
  const newest = new Map<string, number>();
  for (const write of known.values()) {
    for (const dot of seenBy(write, known)) if (dot !== write.dot) behind.add(dot);
    const [chain, n] = chainOf(write);
    newest.set(chain, Math.max(n, newest.get(chain) ?? 0));
  }
  const isLast = (write: Write): boolean => {
    const [chain, n] = chainOf(write);
    return n === newest.get(chain);
  };
  const last = [...known.values()].filter(isLast).sort((a, b) => byText(a.dot, b.dot));
  const heads = last.filter((write) => !behind.has(write.dot));
  return heads.length ? heads : last;
}

/** The dots that the author of a write had seen. */
function seenBy(write: Write, known: Map<string, Write>): string[] {
  const claims = (write.claims ?? []).filter((dot) => known.has(dot) && mayHaveSeen(write, known.get(dot)!));
  return [...write.base, ...claims];
}

/** Whoever sees a write is told the time, too: nobody's next stamp is of an earlier one. */
function mayHaveSeen(write: Write, one: Write): boolean {
  return decodeStamp(one.stamp)!.wallMs <= decodeStamp(write.stamp)!.wallMs;
}

function chainOf(write: Write): [string, number] {
  const [replica, lane, n] = splitDot(write.dot);
  return [JSON.stringify([replica, lane, write.actor]), n];
}

function byDot(writes: Iterable<Write>): Map<string, Write> {
  const known = new Map<string, Write>();
  for (const write of writes) known.set(write.dot, write);
  return known;
}

const byStamp = (a: Write, b: Write): number => byText(a.stamp, b.stamp) || byText(a.dot, b.dot);
const byAuthority = (a: Write, b: Write): number => a.authority - b.authority || byStamp(a, b);

function greatest(writes: Write[], compare: (a: Write, b: Write) => number): Write {
  return writes.reduce((best, write) => (compare(write, best) > 0 ? write : best));
}

const latest = (heads: Write[]): Write => greatest(heads, byStamp);
const earliest = (heads: Write[]): Write => greatest(heads, (a, b) => byStamp(b, a));
const authority = (heads: Write[]): Write => greatest(heads, byAuthority);

const WINNERS: Partial<Record<Policy, (heads: Write[]) => Write>> = {
  latest,
  authority,
  'server-only': latest,
};

/** The rival whose value is named first; of equals, and of values never named, the latest. */
function highest(heads: Write[], choices: readonly string[]): Write {
  const rank = ({ value }: Write): number => (choices.includes(value) ? choices.length - choices.indexOf(value) : 0);
  const top = Math.max(...heads.map(rank));
  return latest(heads.filter((head) => rank(head) === top));
}

/**
 * Fold a non-empty set of writes of one field. Any order, any repetition: the same state.
 *
 * `choices` are the field's, from the highest down; only the policy `highest` asks for them.
 */
export function resolve(policy: Policy, writes: Iterable<Write>, choices: readonly string[] = []): FieldState {
  const every = [...byDot(writes).values()];
  const heads = headsOf(every);
  if (policy === 'fixed-once' || policy === 'append-only') return { live: earliest(every), open: [], heads };
  if (!rivals(heads)) return { live: latest(heads), open: [], heads };
  if (policy === 'manual') return { live: undisputed(every, heads), open: heads, heads };
  if (policy === 'highest') return { live: highest(heads, choices), open: [], heads };
  return { live: WINNERS[policy]!(heads), open: [], heads };
}

/** Two people who wrote the same value agree; only different values are a dispute. */
function rivals(heads: Write[]): boolean {
  const first = canonical(heads[0]!.value);
  return heads.some((head) => canonical(head.value) !== first);
}

/** The newest write that every head follows; the earliest of all when there is none. */
function undisputed(every: Write[], heads: Write[]): Write {
  const known = byDot(every);
  const histories = heads.map((head) => behindOf(head, known));
  const shared = every.filter((write) => histories.every((history) => history.has(write.dot)));
  return shared.length ? latest(shared) : earliest(every);
}

function behindOf(head: Write, known: Map<string, Write>): Set<string> {
  const found = new Set<string>();
  const ahead = [head];
  for (let write = ahead.pop(); write; write = ahead.pop()) {
    for (const dot of seenBy(write, known)) {
      const older = known.get(dot);
      if (!older || found.has(dot)) continue;
      found.add(dot);
      ahead.push(older);
    }
  }
  return found;
}

/** True when rivals with different values stand side by side. */
export function isDisputed(state: FieldState): boolean {
  return rivals(state.heads);
}
