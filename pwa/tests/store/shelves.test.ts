/** Own words after they were sent, when they are missed, and when the disk spoils them: never lost without a word. */

import { describe, expect, test } from 'vitest';
import { SENT_MS } from '../../src/core/contract.ts';
import { hashOf } from '../../src/core/mutation.ts';
import { runsToSend } from '../../src/core/outbox.ts';
import { UnsentWork, type Store } from '../../src/store/store.ts';
import { Disk, REPLICA, T, databaseOf, page, reply, row, saving, step, verdict } from './world.ts';

const dot = (n: number, lane = 0): string => `${REPLICA}/${lane}/${n}`;
const numbers = (records: { n: number }[]): number[] => records.map(({ n }) => n);
const sent = async (store: Store): Promise<number[]> => numbers(await databaseOf(store).sent.toArray());

/** A store that has saved so many steps. */
async function saved(count: number): Promise<[Store, string[], Disk]> {
  const disk = new Disk();
  const store = await disk.store();
  const hashes: string[] = [];
  for (let i = 1; i <= count; i++) hashes.push((await store.save(saving('target.step', [step(`s${i}`)])))!.hash);
  return [store, hashes, disk];
}

const taken = (hashes: string[], seq: number, more: object = {}) =>
  reply({ verdicts: hashes.map((hash, i) => ({ ...verdict(dot(i + 1), hash, seq + i), ...more })) });

describe('sent words', () => {
  test('stay until a backup covers them', async () => {
    const [store, hashes] = await saved(2);
    await store.take(taken(hashes, 5));
    expect(await sent(store)).toEqual([1, 2]);
    await store.take(reply({ durable: 5 }));
    expect(await sent(store)).toEqual([2]);
    await store.take(reply({ durable: 6 }));
    expect(await sent(store)).toEqual([]);
  });

  test('stay for a fortnight where no backup says anything', async () => {
    const [store, hashes] = await saved(1);
    await store.take(taken(hashes, 5));
    await store.take(reply({ now: T + SENT_MS }));
    expect(await sent(store)).toEqual([1]);
    await store.take(reply({ now: T + SENT_MS + 1 }));
    expect(await sent(store)).toEqual([]);
  });

  test('that were refused are not among them, until they are let in', async () => {
    const [store, hashes] = await saved(1);
    await store.take(taken(hashes, 5, { verdict: 'quarantined', code: 'late' }));
    expect(await sent(store)).toEqual([]);
    const fields = { replica: REPLICA, dot: dot(1), hash: hashes[0]!, verdict: 'applied', tags: ['released'] };
    const late = row('verdict', 'v1', 9, fields);
    await store.take(reply({ pages: [page('device/x', 0, 9, [late])], complete: { 'device/x': [0] }, upto: 9 }));
    expect(await sent(store)).toEqual([1]);
    expect(store.refused).toEqual([]);
    expect(store.tagged.map(({ tags }) => tags)).toEqual([['released']]);
  });
});

describe('numbers that the centre misses', () => {
  test('go again when they are kept, whatever became of them', async () => {
    const [store, hashes] = await saved(3);
    await store.take(taken(hashes.slice(0, 1), 5));
    await store.take(reply({ verdicts: [{ ...verdict(dot(2), hashes[1]!, 6, 'refused'), code: 'guard' }] }));
    await store.take(reply({ missing: { '0': [1, 2, 3] } }));
    expect(store.outbox.map(({ n, hash, again }) => [n, hash, again ?? false])).toEqual([
      [1, hashes[0], true],
      [2, hashes[1], true],
      [3, hashes[2], false],
    ]);
    expect([...store.awaiting, ...store.refused, ...(await sent(store))]).toEqual([]);
  });

  test('that nothing is left of get a void', async () => {
    const [store, hashes] = await saved(2);
    await store.take(taken(hashes, 5));
    await store.take(reply({ durable: 9, complete: { directory: [0] }, upto: 9 }));
    expect(store.awaiting).toEqual([]);
    await store.take(reply({ missing: { '0': [1] } }));
    const { mutation } = store.outbox[0]!.saved;
    expect(mutation).toMatchObject({ n: 1, prev: '', intent: 'lane.void' });
    expect(mutation.changes[0]!.fields).toMatchObject({ lost: null, reason: 'missing', n: 1, of_lane: 0 });
  });

  test('that this device never gave are nobody’s', async () => {
    const [store] = await saved(1);
    await store.take(reply({ missing: { '0': [0, 2, 7], '3': [1] } }));
    expect(numbers(store.outbox)).toEqual([1]);
  });

  test('at the end of a lane: what is written next follows the void', async () => {
    const [store, hashes] = await saved(1);
    await store.take(taken(hashes, 5));
    await store.take(reply({ durable: 9, complete: { directory: [0] }, upto: 9 }));
    await store.take(reply({ missing: { '0': [1] } }));
    const next = await store.save(saving('target.step', [step('next')]));
    expect(next!.mutation.prev).toBe(store.outbox[0]!.hash);
  });

  test('that the centre has after all leave no refusal behind', async () => {
    const [store, hashes] = await saved(1);
    await store.take(taken(hashes, 5));
    await store.take(reply({ durable: 9, complete: { directory: [0] }, upto: 9 }));
    await store.take(reply({ missing: { '0': [1] } }));
    const refused = { ...verdict(dot(1), store.outbox[0]!.hash, 0, 'refused'), code: 'identity_reused' };
    await store.take(reply({ verdicts: [refused] }));
    expect([...store.outbox, ...store.refused]).toEqual([]);
  });

  test('photos of words that go again go again after them', async () => {
    const [store, hashes] = await saved(1);
    const sha256 = 'f'.repeat(64);
    const blob = { sha256, blob: new Blob(['x']), size: 1, type: 'image/jpeg', state: 'sent' as const, upload: 'u' };
    await store.blobs.add(blob);
    await databaseOf(store).outbox.update([0, 1], { photos: [sha256] });
    await store.take(taken(hashes, 5));
    await store.take(reply({ missing: { '0': [1] } }));
    expect(await store.blobs.get(sha256)).toMatchObject({ state: 'waiting', upload: null });
  });
});

describe('words that the disk has spoilt', () => {
  const spoils: [string, object][] = [
    ['a changed letter', { raw: '{"x":1}' }],
    ['half a text', { raw: '{"replica":"0193' }],
    ['no text', { raw: null }],
    ['another hash', { hash: '0'.repeat(64) }],
    ['no hash', { hash: null }],
  ];

  test.each(spoils)('%s: they are moved aside, and a void takes their number', async (_name, spoilt) => {
    const [store, hashes, disk] = await saved(3);
    await databaseOf(store).outbox.update([0, 2], spoilt as never);
    const again = await disk.store();
    expect(numbers(again.outbox)).toEqual([1, 2, 3]);
    const [first, lost, third] = again.outbox.map((one) => one.saved.mutation);
    expect([first!.intent, lost!.intent, third!.intent]).toEqual(['target.step', 'lane.void', 'target.step']);
    const hash = 'hash' in spoilt ? (spoilt.hash ?? null) : hashes[1];
    expect(lost!.changes[0]!.fields).toMatchObject({ lost: hash, reason: 'corrupt', n: 2, of_lane: 0 });
    expect(again.damaged).toMatchObject([
      { lane: 0, n: 2, refused: false, record: { ticket: expect.any(String), ...spoilt } },
    ]);
    expect(runsToSend(again.outbox.map((one) => one.saved)).map(({ group }) => numbers(group))).toEqual([
      [1],
      [2],
      [3],
    ]);
    const next = await again.save(saving('target.step', [step('s4')]));
    expect(next!.mutation.prev).toBe(hashes[2]);
  });

  test('on a device whose clock was never measured are moved aside too', async () => {
    const [store, , disk] = await saved(1);
    await store.write({ offset: Number.NaN });
    await databaseOf(store).outbox.update([0, 1], { raw: '{' });
    expect((await disk.store()).outbox[0]!.saved.mutation.changes[0]!.fields).toMatchObject({ at: T });
  });

  test('at the end of the lane: what is written next follows the lost words', async () => {
    const [store, hashes, disk] = await saved(1);
    await databaseOf(store).outbox.update([0, 1], { raw: '' });
    const again = await disk.store();
    const next = await again.save(saving('target.step', [step('s2')]));
    expect(next!.mutation.prev).toBe(hashes[0]);
    expect(again.outbox[0]!.saved.mutation.changes[0]!.fields.lost).toBe(hashes[0]);
  });

  test('twice: the void of a void names the first hash, and both finds stay', async () => {
    const [store, hashes, disk] = await saved(1);
    await databaseOf(store).outbox.update([0, 1], { raw: '' });
    await databaseOf(await disk.store()).outbox.update([0, 1], { raw: '' });
    const again = await disk.store();
    expect(again.outbox[0]!.saved.mutation.changes[0]!.fields.lost).toBe(hashes[0]);
    expect(again.damaged.length).toBe(2);
  });

  test('stay for good until a person dismisses them, whatever the centre says', async () => {
    const [store, , disk] = await saved(1);
    await databaseOf(store).outbox.update([0, 1], { raw: 'x' });
    const again = await disk.store();
    await again.take(reply({ verdicts: [verdict(dot(1), again.outbox[0]!.hash, 5)], durable: 9, upto: 9 }));
    await expect(again.checkSent()).rejects.toBeInstanceOf(UnsentWork);
    await again.dismissDamaged((await disk.store()).damaged[0]!.id!);
    expect(again.damaged).toEqual([]);
    await again.checkSent();
  });

  test('that wait as a refusal are moved aside too, without a void, for the centre has them', async () => {
    const [store, hashes, disk] = await saved(1);
    await store.take(taken(hashes, 5, { verdict: 'refused', code: 'guard' }));
    await databaseOf(store).refused.update([0, 1], { raw: '{' });
    const again = await disk.store();
    expect([again.outbox, again.refused]).toEqual([[], []]);
    expect(again.damaged).toMatchObject([{ refused: true, record: { raw: '{' } }]);
  });

  test('that were sent hold up nothing, and are voided once they are missed', async () => {
    const [store, hashes, disk] = await saved(1);
    await store.take(taken(hashes, 5));
    for (const table of [databaseOf(store).sent, databaseOf(store).awaiting]) await table.update([0, 1], { raw: '{' });
    const again = await disk.store();
    expect(again.awaiting).toEqual([]);
    await again.take(reply({ upto: 9, missing: { '0': [1] } }));
    expect(again.outbox.map((one) => one.saved.mutation.intent)).toEqual(['lane.void']);
    expect(again.damaged.length).toBe(1);
  });

  test('are settled all the same by a verdict that names their hash', async () => {
    const [store, hashes] = await saved(1);
    await databaseOf(store).outbox.update([0, 1], { raw: '{' });
    await store.take(taken(hashes, 5));
    expect(await databaseOf(store).outbox.count()).toBe(0);
  });

  test('before they are sent, are mended from memory', async () => {
    const [store, hashes, disk] = await saved(2);
    await databaseOf(store).outbox.update([0, 1], { raw: '{' });
    const all = store.outbox.map((one) => one.saved);
    expect((await store.intact(all)).map(({ hash }) => hash)).toEqual(hashes);
    expect((await disk.store()).outbox.map(({ raw }) => hashOf(raw))).toEqual(hashes);
    expect(store.damaged).toEqual([]);
  });

  test('that cannot be mended are not sent', async () => {
    const [store, hashes] = await saved(2);
    await databaseOf(store).outbox.update([0, 1], { hash: '0'.repeat(64), raw: '{' });
    const all = store.outbox.map((one) => one.saved);
    expect((await store.intact(all)).map(({ hash }) => hash)).toEqual([hashes[1]]);
    expect(store.outbox[0]!.saved.mutation.intent).toBe('lane.void');
  });

  test('that another tab has settled meanwhile are not sent again', async () => {
    const [store, hashes, disk] = await saved(1);
    const all = store.outbox.map((one) => one.saved);
    await (await disk.store()).take(taken(hashes, 5));
    expect(await store.intact(all)).toEqual([]);
  });

  test('on a device that nobody is enrolled on stay where they are until somebody is', async () => {
    const [store, , disk] = await saved(1);
    await databaseOf(store).outbox.update([0, 1], { raw: '{' });
    await store.write({ identity: null });
    const idle = await disk.store();
    expect([idle.outbox, idle.damaged]).toEqual([[], []]);
    expect(await databaseOf(idle).outbox.get([0, 1])).toMatchObject({ raw: '{' });
    expect((await disk.store()).damaged.length).toBe(1);
  });
});

describe('the stamp', () => {
  const ahead = (hash: string) => reply({ verdicts: [{ ...verdict(dot(1), hash, 5), tags: ['clock_ahead'] }], now: T });

  test('is at least the centre’s clock once that is known', async () => {
    const [store] = await saved(0);
    await store.take(reply({ now: T + 90_000 }));
    const next = await store.save(saving('target.step', [step('a')]));
    expect(next!.mutation.stamp.slice(0, 17)).toBe(`${(T + 90_000).toString(16).padStart(12, '0')}-0001`);
  });

  test('begins anew where the centre did not believe it, and later edits still lie on top', async () => {
    const [store] = await saved(0);
    const edit = (name: string, op = 'set') => [
      { op, entity: 'contact', id: 'k1', fields: { unit: 'u1', name, post: 'x', duty: 'head' } },
    ];
    const first = await store.save(saving('contact.edit', edit('A', 'create'), { nowMs: T + 9_000_000 }));
    const told = { ...verdict(dot(1, 2), first!.hash, 5), tags: ['clock_ahead'] };
    expect((await store.take(reply({ verdicts: [told], now: T }))).clockAhead).toBe(true);
    const second = await store.save(saving('contact.edit', edit('B'), { nowMs: T + 1 }));
    expect(second!.mutation.stamp < first!.mutation.stamp).toBe(true);
    expect(store.memory.rows('contact').map((one) => one.fields.name)).toEqual(['B']);
    await store.take(reply({ verdicts: [verdict('x/9/9', 'h', 1)] }));
    expect(store.memory.rows('contact').map((one) => one.fields.name)).toEqual(['B']);
  });

  test('is left alone by what is said of somebody else’s words', async () => {
    const [store] = await saved(0);
    await store.save(saving('target.step', [step('a')], { nowMs: T + 9_000 }));
    const others = ahead('h').verdicts.map((one) => ({ ...one, dot: 'other/0/1' }));
    expect((await store.take(reply({ verdicts: others, now: T }))).clockAhead).toBe(false);
    expect(await store.read('stamp', null)).toMatchObject({ wallMs: T + 9_000 });
  });
});
