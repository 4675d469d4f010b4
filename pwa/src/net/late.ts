/** The last words of a device that may not sign in any more: the centre keeps them, and a person there judges. */

import { PUSH_BYTES_MAX, type SyncReply } from '../core/contract.ts';
import type { Store } from '../store/store.ts';
import { Unreachable, type Api } from './api.ts';
import { fitting, lateBody, type Sign } from './request.ts';
import { lateReplyOf } from './shape.ts';

/** Most of what a request is made of. */
const WORDS_BYTES_MAX = PUSH_BYTES_MAX / 2;

export interface LateParts {
  api: Api;
  store: Store;
  identity: { centre: string; epoch: string; replica: string };
  publicKey: string;
  sign: Sign;
}

/** Of an answer that gives verdicts and tells nothing of rows. */
const NOTHING_TOLD = {
  ...{ missing: {}, pages: [], complete: {}, gained: [], revoked: [], snapshots: [], restart: [], digests: {} },
  ...{ upto: 0, durable: 0, min_client: 0, backoff: null, fork: null },
};

/**
 * Afterwards nothing waits: the centre has it all, and each word is shown here until a person has seen it. Throws where
 * the centre keeps no more; what it gave no verdict on still waits.
 */
export async function sendLate(parts: LateParts): Promise<void> {
  const { api, store, identity, publicKey, sign } = parts;
  const { centre, epoch } = identity;
  for (let left = store.outbox.length; left > 0; left = store.outbox.length) {
    const sending = await store.intact(fitting(waiting(store), WORDS_BYTES_MAX));
    const body = await lateBody(identity, publicKey, sending, sign);
    const { verdicts, now } = await api.json({ method: 'POST', path: '/v1/late', body }, lateReplyOf);
    const reply: SyncReply = { ...NOTHING_TOLD, centre, epoch, verdicts, now };
    await store.take(reply);
    if (store.outbox.length >= left) throw new Unreachable('nothing was kept');
  }
}

const waiting = ({ outbox }: Store) => outbox.map((one) => one.saved);
