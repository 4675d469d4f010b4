/** The body of one sync, around the exact bytes of the mutations in it. */

import { LANES, PROTOCOL_VERSION, type Cursors } from '../core/contract.ts';
import { byNumber, runsToSend, type Saved } from '../core/outbox.ts';
import type { Asking } from '../store/asking.ts';

/** The signature of a text, by the device's own key. */
export type Sign = (text: string) => Promise<string>;

export interface RequestParts {
  identity: { centre: string; replica: string };
  asking: Asking;
  /** What is pushed now. */
  sending: readonly Saved[];
  /** What waits in all. */
  waiting: { count: number; oldest: number | null };
  lanes: number[] | null;
  maxBytes: number;
  clock: number;
  app: string;
}

/** JSON of a SyncRequest. */
export async function syncBody(parts: RequestParts, sign: Sign): Promise<string> {
  const { centre, replica } = parts.identity;
  const { asked, bad, offers, seen } = parts.asking;
  const head = JSON.stringify({ centre, epoch: asked.epoch, replica, protocol: PROTOCOL_VERSION });
  const tail = JSON.stringify({
    cursors: asked.cursors,
    lanes: parts.lanes,
    ...{ bad, offers, seen },
    max_bytes: parts.maxBytes,
    outbox: parts.waiting,
    clock: parts.clock,
    app: parts.app,
  });
  return `${head.slice(0, -1)},"runs":${await runsText(parts.sending, sign)},${tail.slice(1)}`;
}

/** JSON of a LateRequest. */
export async function lateBody(
  { centre, replica }: RequestParts['identity'],
  key: string,
  sending: readonly Saved[],
  sign: Sign,
): Promise<string> {
  const head = JSON.stringify({ centre, replica, key });
  return `${head.slice(0, -1)},"runs":${await runsText(sending, sign)}}`;
}

/** JSON of the runs. Mutations are set in as saved: parsing and printing them again could change their hash. */
async function runsText(sending: readonly Saved[], sign: Sign): Promise<string> {
  const runs = runsToSend(sending).map(async ({ lane, signing, group }) => {
    const mutations = group.map((saved) => saved.raw).join(',');
    return `{"lane":${lane},"sig":${JSON.stringify(await sign(signing))},"mutations":[${mutations}]}`;
  });
  return `[${(await Promise.all(runs)).join(',')}]`;
}

/** The first mutations, urgent lanes first, that fit into `bytes`; at least one, if any waits. */
export function fitting(waiting: readonly Saved[], bytes: number): Saved[] {
  const sorted = [...waiting].sort(byNumber);
  let room = bytes;
  return sorted.filter((saved, i) => {
    room -= saved.raw.length * BYTES_PER_UNIT;
    return i === 0 || room >= 0;
  });
}

/** Most of what people write here is Chinese: three bytes of UTF-8 for one code unit. */
const BYTES_PER_UNIT = 3;

/** True when the answer completed every lane of every scope. */
export function isWhole(complete: Record<string, number[]>, cursors: Cursors): boolean {
  return Object.keys(cursors).every((scope) => LANES.every((lane) => complete[scope]?.includes(lane)));
}
