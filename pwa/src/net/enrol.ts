/** Enrolment: a one-time code and a fresh key become a replica with its identity, token and session. */

import type { EnrolReply, EnrolRequest } from '../core/contract.ts';
import { DEVICE_KIND_NAMES, type DeviceKindName } from '../core/entities.ts';
import type { Role } from '../core/intents.ts';
import type { Store } from '../store/store.ts';
import type { Api } from './api.ts';
import type { CorrectedClock } from './clock.ts';
import { newKeys, publicText } from './keys.ts';
import type { Ports } from './ports.ts';
import { enrolReplyOf } from './shape.ts';
import type { Identity } from './types.ts';

/** What makes requests possible after enrolment. */
export interface Credentials {
  token: string;
  keys: CryptoKeyPair;
}

export interface EnrolParts {
  ports: Ports;
  api: Api;
  store: Store;
  clock: CorrectedClock;
  app: string;
}

/** Enrols this device. Identity, token and key are on disk together when it resolves; the code is spent. */
export async function enrolDevice(parts: EnrolParts, code: string, device: string): Promise<Identity> {
  const { ports, api, store, clock, app } = parts;
  await store.checkSent(); // Before the code is spent.
  const keys = await newKeys(ports);
  const sentMs = ports.now();
  const request: EnrolRequest = { code: code.trim(), key: await publicText(ports, keys), device, app };
  const call = { method: 'POST', path: '/v1/enrol', body: JSON.stringify(request) };
  const reply = await api.json(call, enrolReplyOf);
  clock.measure(sentMs, reply.now);
  const identity = identityOf(reply);
  const credentials: Credentials = { token: reply.token, keys };
  await store.enrolled({ identity, credentials, offset: clock.offsetMs });
  return identity;
}

function identityOf(reply: EnrolReply): Identity {
  return {
    realm: reply.realm,
    centre: reply.centre,
    centreName: reply.centre_name,
    epoch: reply.epoch,
    replica: reply.replica,
    session: reply.session,
    actor: reply.actor,
    actorName: reply.actor_name,
    unit: reply.unit,
    unitName: reply.unit_name,
    kind: kindOf(reply.kind),
    roles: reply.roles as Role[],
  };
}

function kindOf(kind: string): DeviceKindName {
  return DEVICE_KIND_NAMES.find((one) => one === kind) ?? 'phone';
}
