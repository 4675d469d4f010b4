/**
 * After the centre was restored: what this device offers it again. Up to the fork both logs are the same; above it the
 * new one knows nothing, neither own words nor those that others signed.
 */

import type { Mutation, Proof, Row, Verdict } from './contract.ts';
import { dotOf } from './mutation.ts';
import { keyOf, type Key } from './rows.ts';

/** So many signed mutations of others, and so many rows, go with one request. */
export const OFFERS_MAX = 50;
export const UNSEEN_MAX = 50;

export function isOwn(dot: string, replica: string): boolean {
  return dot.startsWith(`${replica}/`);
}

/** The dots of every write that still shows in the row. */
export function dotsOf(row: Row): string[] {
  return [row.dot, ...Object.values(row.writes).flatMap((write) => write.slice(1))];
}

/** A row that neither own words nor signed words of others can bring back: a person must hear of it. */
export function isUnseen(row: Row, provable: ReadonlySet<string>): boolean {
  return !row.removed && !dotsOf(row).every((dot) => provable.has(dot));
}

export function dotOfProof({ replica, lane, n }: Proof): string {
  return dotOf(replica, lane, n);
}

/** The rows that the signed words touch; null when they are not the words of that number. */
export function provenKeys(proof: Proof): Key[] | null {
  const mutation = parsed(proof.raw);
  if (mutation?.replica !== proof.replica || mutation.lane !== proof.lane || mutation.n !== proof.n) return null;
  if (!Array.isArray(mutation.changes)) return null;
  return mutation.changes.map(({ entity, id }) => keyOf(entity, id));
}

function parsed(raw: string): Mutation | null {
  try {
    return JSON.parse(raw) as Mutation | null;
  } catch {
    return null;
  }
}

/** What is left to offer once these were sent and answered; what got no verdict goes behind the others. */
export function offersLeft(offers: readonly string[], sent: readonly string[], verdicts: readonly Verdict[]): string[] {
  const settled = new Set(verdicts.map(({ dot }) => dot));
  const left = offers.filter((dot) => !settled.has(dot));
  const asked = new Set(sent);
  return [...left.filter((dot) => !asked.has(dot)), ...left.filter((dot) => asked.has(dot))];
}

/** The offers that the centre could not prove to be their author's. */
export function vainOffers(offers: readonly string[], verdicts: readonly Verdict[]): string[] {
  const vain = new Set(verdicts.filter((one) => one.verdict === 'refused' && one.seq === 0).map(({ dot }) => dot));
  return offers.filter((dot) => vain.has(dot));
}
