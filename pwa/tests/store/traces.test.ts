/** The store does what the reference device in sync/replica.py does, step by step. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Value } from '../../src/core/contract.ts';
import { dotOfSaved } from '../../src/core/outbox.ts';
import { splitPairKey, type PairKey } from '../../src/core/pairs.ts';
import { basesOf } from '../../src/core/replica.ts';
import { keyOf } from '../../src/core/rows.ts';
import { encodeStamp, type Stamp } from '../../src/core/stamp.ts';
import type { Store } from '../../src/store/store.ts';
import type { Asked } from '../../src/store/take.ts';
import { Disk, ME, databaseOf, reply, saving } from './world.ts';

type Trace = { name: string; kind: string; steps: Record<string, Value>[] };
const every: Trace[] = JSON.parse(readFileSync(new URL('../../../tests/vectors/pull.json', import.meta.url), 'utf8'));
const traces = every.filter((one) => one.kind === 'trace');
const ROOM = 1_000_000;

test('there are traces', () => expect(traces.length).toBeGreaterThan(10));

test.each(traces.map((one) => [one.name, one.steps] as const))('%s', async (_name, steps) => {
  const disk = new Disk();
  const [store, other] = [await disk.store(), await disk.store()];
  const asked = new Map<string, Asked>();
  for (const step of steps) {
    await act(store, step, asked);
    expect(await stateOf(store, step.then)).toEqual(step.then);
  }
  const reopened = await disk.store();
  expect(await stateOf(reopened, steps[steps.length - 1]!.then)).toEqual(steps[steps.length - 1]!.then);
  other.close();
});

/** One step: a write, a request that is answered later, or an answer to it or to the newest. */
async function act(store: Store, step: Record<string, Value>, asked: Map<string, Asked>): Promise<void> {
  if (step.write) return write(store, step.write);
  const { asked: newest } = await store.asking(null, ROOM);
  if (step.ask) asked.set(step.ask, newest);
  else await store.take(reply(step.reply), step.to ? asked.get(step.to)! : newest);
}

async function write(store: Store, { intent, changes, now }: Value): Promise<void> {
  const request = saving(intent, changes, { nowMs: now });
  request.meant.base = basesOf(changes, (key) => store.memory.view(key));
  await store.save(request);
}

/** As much of what the device keeps as `then` speaks of. */
async function stateOf(store: Store, then: Value): Promise<Value> {
  const unconfirmed = store.unconfirmed().flatMap(({ mutation }) => mutation.changes);
  const keys = new Set([...Object.keys(then.shown), ...unconfirmed.map((one) => keyOf(one.entity, one.id))]);
  for (const entity of ['unit', 'step', 'contact'])
    for (const row of store.memory.rows(entity)) keys.add(keyOf(entity, row.id));
  const shown: Record<string, Value> = {};
  for (const key of keys) {
    const view = store.memory.view(key);
    if (view) shown[key] = view.fields;
  }
  const dots = (list: { saved: Parameters<typeof dotOfSaved>[0] }[]): string[] =>
    list.map((one) => dotOfSaved(one.saved));
  const pairs = (keys: PairKey[]): Value => keys.map(splitPairKey).sort();
  const { bad, restarting, offers, unseen } = store.standing;
  const sent = await databaseOf(store).sent.toArray();
  const state: Value = {
    shown,
    outbox: dots(store.outbox),
    awaiting: dots(store.awaiting),
    refused: dots(store.refused),
    sent: sent.map(({ lane, n }) => `${ME.replica}/${lane}/${n}`),
    cursors: await store.cursors(),
    bad: pairs(bad),
    restarting: pairs(restarting),
    offers,
    unseen,
    stamp: encodeStamp(await store.read<Stamp>('stamp', { wallMs: 0, counter: 0, replica: ME.replica })),
  };
  return Object.fromEntries(Object.keys(then).map((name) => [name, state[name]]));
}
