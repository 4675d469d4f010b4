/** The store does what the reference device in sync/replica.py does, step by step. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Value } from '../../src/core/contract.ts';
import { dotOfSaved } from '../../src/core/outbox.ts';
import { basesOf } from '../../src/core/replica.ts';
import { keyOf } from '../../src/core/rows.ts';
import type { Store } from '../../src/store/store.ts';
import { Disk, reply, saving } from './world.ts';

type Trace = { name: string; kind: string; steps: Record<string, Value>[] };
const every: Trace[] = JSON.parse(readFileSync(new URL('../../../tests/vectors/pull.json', import.meta.url), 'utf8'));
const traces = every.filter((one) => one.kind === 'trace');

test('there are traces', () => expect(traces.length).toBeGreaterThan(10));

test.each(traces.map((one) => [one.name, one.steps] as const))('%s', async (_name, steps) => {
  const disk = new Disk();
  const [store, other] = [await disk.store(), await disk.store()];
  for (const step of steps) {
    if (step.write) await write(store, step.write);
    else await store.take(reply(step.reply));
    expect(await stateOf(store, step.then)).toEqual(step.then);
  }
  const reopened = await disk.store();
  expect(await stateOf(reopened, steps[steps.length - 1]!.then)).toEqual(steps[steps.length - 1]!.then);
  other.close();
});

async function write(store: Store, { intent, changes, now }: Value): Promise<void> {
  const request = saving(intent, changes, { nowMs: now });
  request.meant.base = basesOf(changes, (key) => store.memory.view(key));
  await store.save(request);
}

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
  return {
    shown,
    outbox: dots(store.outbox),
    awaiting: dots(store.awaiting),
    refused: dots(store.refused),
    cursors: await store.cursors(),
  };
}
