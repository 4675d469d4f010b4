/** Fakes for tests of the store: one disk that several tabs share, and rows and answers in short. */

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import type { Change, Page, Proof, Row, SyncReply, Value, Verdict } from '../../src/core/contract.ts';
import type { TabChannel, TabMessage } from '../../src/store/channel.ts';
import type { SaveRequest } from '../../src/store/save.ts';
import { asText, digestOf, total } from '../../src/core/digest.ts';
import type { Facts } from '../../src/core/fold.ts';
import type { Database } from '../../src/store/database.ts';
import { Store } from '../../src/store/store.ts';

export const REPLICA = '0193a0aa-0000-7000-8000-000000000001';
export const ME = { realm: 'realm-1', replica: REPLICA, session: 's1', actor: 'p1', epoch: 'e1', centre: 'c1' };
export const T = 1_760_000_000_000;

/** How long each step of an order may take, by urgency. */
export const CLOCKS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  flash: { receipt: 15_000, sign: 60_000, depart: 300_000, arrive: 900_000, first_feedback: 900_000, stop: 120_000 },
  urgent: {
    receipt: 60_000,
    sign: 180_000,
    depart: 900_000,
    arrive: 1_800_000,
    first_feedback: 1_800_000,
    stop: 300_000,
  },
  routine: { receipt: 300_000, sign: 1_800_000, first_feedback: 86_400_000, stop: 1_800_000 },
};

/** Of a target about which nothing was said. */
export const NO_FACTS: Facts = { steps: [], rounds: [], recalls: [], stops: [], rulings: [], feedback: [] };

/** Tabs that hear each other at once. */
export class Tabs {
  private readonly lines = new Set<(message: TabMessage) => void>();

  channel(): TabChannel {
    const mine = new Set<(message: TabMessage) => void>();
    return {
      post: (message) => this.lines.forEach((hear) => !mine.has(hear) && hear(message)),
      listen: (hear) => mine.add(hear) && this.lines.add(hear),
      close: () => mine.forEach((hear) => this.lines.delete(hear)),
    };
  }
}

export class Disk {
  readonly indexedDB = new IDBFactory() as unknown as globalThis.IDBFactory;
  readonly tabs = new Tabs();

  async store(): Promise<Store> {
    const store = await Store.open({
      name: 'test',
      channel: this.tabs.channel(),
      now: () => T,
      indexedDB: this.indexedDB,
      IDBKeyRange: IDBKeyRange as unknown as typeof globalThis.IDBKeyRange,
    });
    if (!(await store.read('identity', null))) await store.write({ identity: ME });
    return store;
  }
}

/** Everything that is under way in any tab has ended. */
export async function quiet(...stores: Store[]): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const store of stores) await store.dismiss(9, 9);
  }
}

export const step = (id: string, fields: Record<string, Value> = {}): Change => ({
  op: 'create',
  entity: 'step',
  id,
  fields: {
    target: 't1',
    directive: 'd1',
    unit: 'u1',
    round: 1,
    at: T,
    step: 'signed',
    version: 1,
    route: 'device',
    ...fields,
  },
});

/** What lies on the disk of a store, to be looked at or spoilt. */
export function databaseOf(store: Store): Database {
  return (store as unknown as { database: Database }).database;
}

/** The sum that a centre which holds these rows tells. */
export const sumOf = (...rows: Row[]): string => asText(total(rows.map(digestOf)));

/** Signed words of the centre that make these rows. */
export function proofOf(n: number, ...rows: Row[]): Proof {
  const changes = rows.map(({ entity, id, fields }) => ({ op: 'create', entity, id, fields }));
  const raw = JSON.stringify({ replica: 'c', lane: 0, n, changes });
  return { replica: 'c', lane: 0, n, raw, sig: `sig-${n}` };
}

let tickets = 0;
export function saving(intent: string, changes: Change[], more: Partial<SaveRequest> = {}): SaveRequest {
  const meant = { intent, changes, base: {}, after: [], guard: [] };
  return { meant, nowMs: T, ticket: `ticket-${++tickets}`, photos: [], once: null, ...more };
}

export const row = (entity: string, id: string, seq: number, fields: Record<string, Value> = {}): Row => ({
  entity,
  id,
  seq,
  dot: 'c/2/1',
  stamp: '0199c0000000-0000-c',
  actor: 'c1',
  arrived: T,
  fields,
  writes: {},
  open: {},
  removed: false,
  home: 'c1',
  provisional: false,
});

export const page = (
  scope: string,
  lane: number,
  next: number,
  rows: Row[],
  out: [string, string][] = [],
  proofs: Proof[] = [],
): Page => ({ scope, lane, next, rows, out, proofs });

export const verdict = (dot: string, hash: string, seq: number, word = 'applied'): Verdict => ({
  dot,
  hash,
  verdict: word,
  seq,
  code: null,
  detail: null,
  repeat: false,
  tags: [],
});

export const reply = (part: Partial<SyncReply>): SyncReply => ({
  centre: 'c1',
  epoch: 'e1',
  verdicts: [],
  missing: {},
  pages: [],
  complete: {},
  gained: [],
  revoked: [],
  upto: 0,
  durable: 0,
  now: T,
  backoff: null,
  snapshots: [],
  restart: [],
  digests: {},
  fork: null,
  min_client: 0,
  ...part,
});
