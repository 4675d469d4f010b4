/** Whether what came with a success is the centre's: a portal or proxy answers anything with 200. */

import type { EnrolReply, LateReply, Snapshot, SnapshotFile, SyncReply } from '../core/contract.ts';
import { Unreachable } from './api.ts';

type Fields = Record<string, unknown>;
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isName: Check = (value) => typeof value === 'string' && value !== '';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf =
  (each: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(each);
const mapOf =
  (each: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(each);
const shaped =
  (checks: Record<string, Check>): Check =>
  (value) =>
    isObject(value) && Object.entries(checks).every(([name, holds]) => holds(value[name]));
const orNull =
  (each: Check): Check =>
  (value) =>
    value === null || value === undefined || each(value);

const isSha256: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isSum: Check = (value) => typeof value === 'string' && /^[0-9a-f]{1,16}$/.test(value);
const isPair: Check = (value) => Array.isArray(value) && value.length === 2 && isName(value[0]) && isCount(value[1]);
const isProof = shaped({ replica: isName, lane: isCount, n: isCount, raw: isText, sig: isText });
const isSnapshot = shaped({
  scope: isName,
  lane: isCount,
  seq: isCount,
  parts: listOf(shaped({ sha256: isSha256, size: isCount })),
});
const isRow = shaped({ entity: isName, id: isName, seq: isCount, dot: isText, stamp: isText, fields: isObject });

const isVerdict = shaped({ dot: isText, hash: isText, verdict: isName, seq: isCount, tags: orNull(listOf(isText)) });

const SYNC: Record<string, Check> = {
  centre: isName,
  epoch: isName,
  verdicts: listOf(isVerdict),
  missing: mapOf(listOf(isCount)),
  pages: listOf(
    shaped({
      scope: isName,
      lane: isCount,
      next: isCount,
      rows: listOf(isRow),
      out: orNull(listOf(listOf(isText))),
      proofs: orNull(listOf(isProof)),
    }),
  ),
  complete: mapOf(listOf(isCount)),
  gained: listOf(isName),
  revoked: listOf(isName),
  upto: isCount,
  now: isTime,
  backoff: orNull(isCount),
  durable: orNull(isCount),
  snapshots: orNull(listOf(isSnapshot)),
  restart: orNull(listOf(isPair)),
  digests: orNull(mapOf(mapOf(isSum))),
  fork: orNull(isCount),
  min_client: orNull(isCount),
};

/** What a centre of the first protocol leaves out. */
const UNSAID = { durable: 0, snapshots: [], restart: [], digests: {}, fork: null, min_client: 0 };

const PART: Record<string, Check> = {
  scope: isName,
  lane: isCount,
  rows: listOf(isRow),
  proofs: orNull(listOf(isProof)),
};

const LATE: Record<string, Check> = { verdicts: listOf(isVerdict), now: isTime };

const ENROL: Record<string, Check> = {
  ...Object.fromEntries(
    ['realm', 'centre', 'epoch', 'replica', 'token', 'session', 'actor'].map((one) => [one, isName]),
  ),
  ...Object.fromEntries(['centre_name', 'actor_name', 'unit', 'unit_name', 'kind'].map((one) => [one, isText])),
  roles: listOf(isText),
  now: isTime,
};

/** The answer of this centre to a sync. Throws Unreachable when it is anything else. */
export function syncReplyOf(text: string, centre: string): SyncReply {
  const value = checked(parsed(text), SYNC);
  if (value.centre !== centre) throw new Unreachable('another centre answered');
  const said = Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
  return { backoff: null, ...UNSAID, ...said } as unknown as SyncReply;
}

/** One part of a snapshot of this pair. Throws Unreachable when it is anything else. */
export function snapshotFileOf(text: string, { scope, lane }: Snapshot): SnapshotFile {
  const value = checked(parsed(text), PART);
  if (value.scope !== scope || value.lane !== lane) throw new Unreachable('another snapshot');
  return value as unknown as SnapshotFile;
}

/** The answer to last words. Throws Unreachable when it is anything else. */
export function lateReplyOf(text: string): LateReply {
  return checked(parsed(text), LATE) as unknown as LateReply;
}

/** The answer to an enrolment. Throws Unreachable when it is anything else. */
export function enrolReplyOf(text: string): EnrolReply {
  return checked(parsed(text), ENROL) as unknown as EnrolReply;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreachable('the answer is no JSON');
  }
}

function checked(value: unknown, checks: Record<string, Check>): Fields {
  if (!isObject(value)) throw new Unreachable('the answer is no object');
  const wrong = Object.keys(checks).find((name) => !checks[name]!(value[name]));
  if (wrong !== undefined) throw new Unreachable(`the answer has no proper ${wrong}`);
  return value;
}
