/** A table that the browser emptied or threw away behind the app's back: what was in it is told. */

import { describe, expect, test } from 'vitest';
import type { BlobState } from '../../src/store/database.ts';
import { setAside } from '../../src/store/shelves.ts';
import { UnsentWork, type Store } from '../../src/store/store.ts';
import { Disk, REPLICA, T, databaseOf, reply, saving, step, verdict } from './world.ts';

const dot = (n: number, lane = 0): string => `${REPLICA}/${lane}/${n}`;
const feedback = (id: string, ...letters: string[]) => {
  const photos = letters.map((letter) => ({ sha256: letter.repeat(64), size: 1, type: 'image/jpeg' }));
  const fields = {
    target: 't1',
    directive: 'd1',
    unit: 'u1',
    round: 1,
    at: T,
    kind: 'progress',
    photos,
  };
  return { op: 'create', entity: 'feedback', id, fields };
};
const told = ({ damaged }: Store) => damaged.map(({ lane, n, record }) => [lane, n, record]);
const intents = ({ outbox }: Store) => outbox.map(({ lane, n, saved }) => [lane, n, saved.mutation.intent]);

/** A store with three words of lane 0, the first of them at the centre, and one of lane 1. */
async function saved(): Promise<[Store, Disk]> {
  const disk = new Disk();
  const store = await disk.store();
  const { hash } = (await store.save(saving('target.step', [step('s1')])))!;
  for (const id of ['s2', 's3']) await store.save(saving('target.step', [step(id)]));
  await store.save(saving('feedback.add', [feedback('f1')]));
  await store.take(reply({ verdicts: [verdict(dot(1), hash, 5)], durable: 9 }));
  return [store, disk];
}

describe('an outbox that was emptied', () => {
  test('is noticed at the next start: its numbers are told, and voids tell the centre', async () => {
    const [store, disk] = await saved();
    await databaseOf(store).outbox.clear();
    const again = await disk.store();
    expect(told(again)).toEqual([
      [0, 2, null],
      [0, 3, null],
      [1, 1, null],
    ]);
    expect(intents(again)).toEqual([
      [0, 2, 'lane.void'],
      [0, 3, 'lane.void'],
      [1, 1, 'lane.void'],
    ]);
    const fields = again.outbox.map((one) => one.saved.mutation.changes[0]!.fields);
    expect(fields).toMatchObject([{ lost: null, reason: 'missing', n: 2, of_lane: 0 }, { n: 3 }, { n: 1, of_lane: 1 }]);
    const next = await again.save(saving('target.step', [step('s4')]));
    expect([next!.n, next!.mutation.prev]).toEqual([4, again.outbox[1]!.hash]);
  });

  test('is told once, over later starts, until a person has seen it', async () => {
    const [store, disk] = await saved();
    await databaseOf(store).outbox.clear();
    await disk.store();
    const again = await disk.store();
    expect([again.damaged.length, again.outbox.length]).toEqual([3, 3]);
    await expect(again.checkSent()).rejects.toBeInstanceOf(UnsentWork);
    for (const { id } of [...again.damaged]) await again.dismissDamaged(id!);
    expect((await disk.store()).damaged).toEqual([]);
  });

  test('of which some words are left has lost the others alone', async () => {
    const [store, disk] = await saved();
    await databaseOf(store).outbox.delete([0, 2]);
    const again = await disk.store();
    expect(told(again)).toEqual([[0, 2, null]]);
    expect(intents(again).map(([, , intent]) => intent)).toEqual(['lane.void', 'target.step', 'feedback.add']);
  });

  test('while the app is open is filled again from memory before anything is sent', async () => {
    const [store, disk] = await saved();
    const waiting = store.outbox.map((one) => one.saved);
    await databaseOf(store).outbox.clear();
    expect(await store.intact(waiting)).toEqual(waiting);
    const again = await disk.store();
    expect([told(again), intents(again)]).toEqual([[], intents(store)]);
    expect(again.outbox.map(({ hash }) => hash)).toEqual(waiting.map(({ hash }) => hash));
  });

  test('whose words had arrived after all is told of no more, of those', async () => {
    const [store, disk] = await saved();
    await databaseOf(store).outbox.clear();
    const again = await disk.store();
    const reused = (n: number) => ({
      ...verdict(dot(n), again.outbox[n - 2]!.hash, 0, 'refused'),
      code: 'identity_reused',
    });
    await again.take(reply({ verdicts: [reused(2)] }));
    expect(told(again)).toEqual([
      [0, 3, null],
      [1, 1, null],
    ]);
    expect(again.refused).toEqual([]);
  });

  test('is not one whose words got their verdicts, or went again and got them then', async () => {
    const [store, disk] = await saved();
    const all = store.outbox.map(({ lane, n, hash }, i) => ({ ...verdict(dot(n, lane), hash, 20 + i), lane }));
    await store.take(reply({ verdicts: all.slice(0, 2) }));
    await store.take(reply({ verdicts: [{ ...all[2]!, verdict: 'refused', code: 'guard' }] }));
    await store.take(reply({ missing: { '0': [2] } }));
    expect(intents(await disk.store())).toEqual([[0, 2, 'target.step']]);
    await store.take(reply({ verdicts: [{ ...all[0]!, seq: 30 }] }));
    const again = await disk.store();
    expect([again.outbox, again.damaged]).toEqual([[], []]);
  });

  test('is not one whose words another tab settled while this one looked', async () => {
    const [store] = await saved();
    const { hash } = store.outbox[0]!;
    await store.take(reply({ verdicts: [verdict(dot(2), hash, 20)] }));
    await setAside(databaseOf(store), { outbox: [], refused: [], lost: [[0, 2]], remembered: [], nowMs: T });
    expect(await databaseOf(store).damaged.count()).toBe(0);
    expect(await databaseOf(store).outbox.get([0, 2])).toBeUndefined();
  });

  test('is told too where the centre misses a number before this device does', async () => {
    const [store] = await saved();
    await databaseOf(store).outbox.delete([0, 2]);
    await store.take(reply({ missing: { '0': [2] } }));
    expect([told(store), intents(store)[0]]).toEqual([[[0, 2, null]], [0, 2, 'lane.void']]);
  });

  test('that an older app left behind is taken as it is', async () => {
    const [store, disk] = await saved();
    await databaseOf(store).meta.delete('owing');
    await databaseOf(store).outbox.delete([0, 2]);
    const again = await disk.store();
    expect([told(again), intents(again).length]).toEqual([[], 2]);
    await databaseOf(store).outbox.clear();
    expect(told(await disk.store()).length).toBe(2);
  });

  test('of a device that nobody is enrolled on is left alone', async () => {
    const [store, disk] = await saved();
    await databaseOf(store).outbox.clear();
    await store.write({ identity: null });
    const idle = await disk.store();
    expect([idle.outbox, idle.damaged]).toEqual([[], []]);
  });
});

describe('photos that were thrown away', () => {
  const put = (store: Store, letter: string, state: BlobState = 'draft') => {
    const photo = { sha256: letter.repeat(64), blob: new Blob(['x']), size: 1, type: 'image/jpeg' };
    return store.blobs.add({ ...photo, state, upload: null });
  };

  test('are told when the centre does not have them, and of the others nothing is said', async () => {
    const disk = new Disk();
    const store = await disk.store();
    for (const letter of ['a', 'b', 'c', 'd']) await put(store, letter);
    await put(store, 'e', 'fetched');
    const photos = ['a', 'b'].map((letter) => letter.repeat(64));
    await store.save(saving('feedback.add', [feedback('f1', 'a', 'b')], { photos }));
    await store.blobs.sent('a'.repeat(64));
    await databaseOf(store).blobs.clear();
    const again = await disk.store();
    expect(again.photos).toEqual([{ sha256: 'b'.repeat(64), size: 0, state: 'spoilt' }]);
    await expect(again.checkSent()).rejects.toBeInstanceOf(UnsentWork);
    await again.blobs.dismiss('b'.repeat(64));
    expect([again.photos, (await disk.store()).photos]).toEqual([[], []]);
  });

  test('wait again once the same picture was taken in again', async () => {
    const disk = new Disk();
    const store = await disk.store();
    await put(store, 'a');
    const photos = ['a'.repeat(64)];
    await store.save(saving('feedback.add', [feedback('f1', 'a')], { photos }));
    await databaseOf(store).blobs.clear();
    const again = await disk.store();
    await put(again, 'a');
    expect(again.photos).toEqual([{ sha256: photos[0], size: 1, state: 'waiting' }]);
  });
});
