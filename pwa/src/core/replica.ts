/** One device's state transitions, shared by the store: numbering a mutation, the overlay, what a verdict does. */

import {
  LANE_0_MUTATION_BYTES_MAX,
  MUTATION_BYTES_MAX,
  SCHEMA_VERSION,
  TIME_MS_MIN,
  type Change,
  type Cursors,
  type Guard,
  type Mutation,
  type Row,
  type Verdict,
} from './contract.ts';
import { FIRST_PREV, Refusal, VOID, checkForm, dotOf, encodeMutation, hashOf, serverOnlyFields } from './mutation.ts';
import { dotOfSaved, type Saved, type Tip } from './outbox.ts';
import { reached } from './pull.ts';
import { baseOf, keyOf, type Key } from './rows.ts';
import { sha256Hex, utf8 } from './sha256.ts';
import { encodeStamp, nextStamp, type Stamp } from './stamp.ts';
import { ENTITIES } from './entities.ts';
import { INTENTS } from './intents.ts';

/** The part of a device's identity that every mutation names. */
export interface Author {
  realm: string;
  replica: string;
  session: string;
  actor: string;
}

const VOID_ID_LENGTH = 32;

export type Base = Record<string, Record<string, string[]>>;

/** What a person means, before it has a number. */
export interface Intention {
  intent: string;
  changes: Change[];
  base: Base;
  after: string[];
  guard: Guard[];
}

/** A mutation whose words are gone: the hash they had, where anybody knows it, and how they went. */
export interface Lost {
  lane: number;
  n: number;
  hash: string | null;
  reason: 'corrupt' | 'missing';
}

/** A settled mutation whose overlay stays until its lanes are complete at its seq. */
export interface Awaiting {
  saved: Saved;
  seq: number;
}

export interface Numbered {
  saved: Saved;
  tip: Tip;
  stamp: Stamp;
}

/** The next mutation of its lane, with the tip and stamp to keep. Throws the Refusal that any server would give. */
export function numbered(author: Author, meant: Intention, tip: Tip, last: Stamp, nowMs: number): Numbered {
  const lane = laneOfIntent(meant.intent);
  const stamp = nextStamp(last, nowMs);
  const mutation: Mutation = {
    replica: author.replica,
    lane,
    n: tip.n + 1,
    prev: tip.hash,
    realm: author.realm,
    stamp: encodeStamp(stamp),
    session: author.session,
    actor: author.actor,
    intent: meant.intent,
    changes: meant.changes,
    base: meant.base,
    after: meant.after,
    guard: meant.guard,
    schema: SCHEMA_VERSION,
  };
  checkForm(mutation);
  const homes = mutation.changes.flatMap(serverOnlyFields);
  if (homes.length) throw new Refusal('server_only', homes[0]);
  const raw = encodeMutation(mutation);
  if (utf8(raw).length > bytesMax(lane)) throw new Refusal('too_large', mutation.intent);
  const saved = savedFrom(raw);
  return { saved, tip: { n: saved.n, hash: saved.hash }, stamp };
}

/** The mutation that takes the number of lost words, so that whoever counts knows they will not come. */
export function voidOf(author: Author, lost: Lost, last: Stamp, nowMs: number): Omit<Numbered, 'tip'> {
  const { realm, replica, session, actor } = author;
  const { lane, n } = lost;
  const stamp = nextStamp(last, nowMs);
  const fields = { replica, of_lane: lane, n, lost: lost.hash, reason: lost.reason, at: Math.max(nowMs, TIME_MS_MIN) };
  const id = sha256Hex(dotOf(replica, lane, n)).slice(0, VOID_ID_LENGTH);
  const change: Change = { op: 'create', entity: 'void', id, fields };
  const head = { replica, lane, n, prev: FIRST_PREV, realm, stamp: encodeStamp(stamp), session, actor, intent: VOID };
  const mutation = { ...head, changes: [change], base: {}, after: [], guard: [], schema: SCHEMA_VERSION };
  checkForm(mutation);
  return { saved: savedFrom(encodeMutation(mutation)), stamp };
}

function laneOfIntent(intent: string): number {
  const known = INTENTS[intent];
  if (!known) throw new Refusal('intent_unknown', intent);
  return known.lane;
}

function bytesMax(lane: number): number {
  return lane === 0 ? LANE_0_MUTATION_BYTES_MAX : MUTATION_BYTES_MAX;
}

/** The mutation of a text whose hash is known already. */
export function savedOf({ raw, hash }: { raw: string; hash: string }): Saved {
  const mutation: Mutation = JSON.parse(raw);
  return { lane: mutation.lane, n: mutation.n, raw, hash, mutation };
}

/** The mutation in its exact text, with its hash. */
export function savedFrom(raw: string): Saved {
  return savedOf({ raw, hash: hashOf(raw) });
}

/** The dots that this device shows, by `view`: of each field set, of all written ones for a removal. */
export function basesOf(changes: readonly Change[], view: (key: Key) => Row | null): Base {
  const base: Base = {};
  for (const change of changes) {
    const key = keyOf(change.entity, change.id);
    const row = view(key);
    if (change.op === 'create' || row === null) continue;
    const names = Object.keys(change.op === 'remove' ? row.writes : change.fields);
    base[key] = Object.fromEntries(names.map((name) => [name, baseOf(row, name)]));
  }
  return base;
}

/** The row as a screen shows it: confirmed, with everything not yet confirmed on top. */
export function viewOf(confirmed: Row | null, key: Key, unconfirmed: readonly Saved[]): Row | null {
  let row = confirmed;
  for (const saved of unconfirmed) {
    for (const change of saved.mutation.changes) {
      if (keyOf(change.entity, change.id) === key) row = overlaid(row, change, saved);
    }
  }
  return row === null || row.removed ? null : row;
}

/** What only the home can say of a row. */
const UNTOLD = { writes: {}, open: {}, removed: false, home: '', provisional: false };

/**
 * A row with one unconfirmed change on top, `arrived` 0 while it is only on this device. A field written here names
 * what it was based on too: whoever edits it next has seen both, also where the centre does not take the first. What
 * was removed stays so, and the words wait.
 */
export function overlaid(row: Row | null, change: Change, saved: Saved): Row | null {
  const [{ stamp, actor }, dot] = [saved.mutation, dotOfSaved(saved)];
  if (row?.removed) return row;
  if (change.op === 'remove') return null;
  if (row === null) {
    if (change.op === 'set') return null;
    const { entity, id, fields } = change;
    return { entity, id, seq: 0, dot, stamp, actor, arrived: 0, fields, ...UNTOLD };
  }
  if (change.op === 'create') return row;
  const written = Object.keys(change.fields);
  const seen = written.map((name) => [name, [stamp, dot, ...baseOf(row, name)]]);
  const writes = { ...row.writes, ...Object.fromEntries(seen) };
  const open = Object.fromEntries(Object.entries(row.open).filter(([name]) => !written.includes(name)));
  return { ...row, fields: { ...row.fields, ...change.fields }, writes, open };
}

/** The lanes in which the rows of this mutation come back. */
export function lanesOf(mutation: Mutation): number[] {
  return [...new Set(mutation.changes.map((change) => ENTITIES[change.entity]!.lane))];
}

/** An overlay goes once every lane it touched is complete at or above its seq, with nothing staged in it. */
export function overlayDone(one: Awaiting, cursors: Cursors, stagedLanes: ReadonlySet<number>): boolean {
  return lanesOf(one.saved.mutation).every((lane) => !stagedLanes.has(lane) && reached(cursors, lane) >= one.seq);
}

/** The verdict that a row of `device/<id>` brings when it changed after the push. */
export function lateVerdict(row: Row): Verdict {
  const { dot, hash, verdict, code = null, detail = null, tags } = row.fields;
  return { dot, hash, verdict, seq: row.seq, code, detail, repeat: false, tags: tags ?? [] };
}

/** Where a settled mutation goes: its overlay waits for its rows, or its words wait for the person. */
export function settledInto(verdict: Verdict): 'awaiting' | 'refused' {
  return verdict.verdict === 'applied' || verdict.verdict === 'merged' ? 'awaiting' : 'refused';
}
