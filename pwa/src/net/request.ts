/** The body of one sync, around the exact bytes of the mutations in it. */

import { LANES, PROTOCOL_VERSION, type Cursors } from '../core/contract.ts';
import { byNumber, runsToSend, type Saved } from '../core/outbox.ts';
import type { Asking } from '../store/asking.ts';

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

/** JSON of a SyncRequest. Mutations are set in as saved: parsing and printing them again could change their hash. */
export async function syncBody(parts: RequestParts, sign: (text: string) => Promise<string>): Promise<string> {
  const { centre, replica } = parts.identity;
  const { asked, bad, offers, seen } = parts.asking;
  const runs = await Promise.all(
    runsToSend(parts.sending).map(async ({ lane, signing, group }) => {
      const mutations = group.map((saved) => saved.raw).join(',');
      return `{"lane":${lane},"sig":${JSON.stringify(await sign(signing))},"mutations":[${mutations}]}`;
    }),
  );
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
  return `${head.slice(0, -1)},"runs":[${runs.join(',')}],${tail.slice(1)}`;
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
