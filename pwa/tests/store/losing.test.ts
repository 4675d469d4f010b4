/** What must go from the disk goes wholly, what must not go stays, and a disk that fails is told of. */

import { IDBDatabase, IDBObjectStore } from 'fake-indexeddb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Row } from '../../src/core/contract.ts';
import type { BlobState } from '../../src/store/database.ts';
import { StoreFull, StoreLost, isFull } from '../../src/store/guard.ts';
import type { Store } from '../../src/store/store.ts';
import { Disk, databaseOf, page, proofOf, reply, row, saving, step } from './world.ts';

afterEach(() => void vi.restoreAllMocks());

const photo = (letter: string) => ({ sha256: letter.repeat(64), size: 1, type: 'image/jpeg', thumb: '' });
const told = (id: string, seq: number, ...letters: string[]): Row =>
  row('feedback', id, seq, { text: '好', photos: letters.map(photo) });
const put = (store: Store, letter: string, state: BlobState) =>
  store.blobs.add({ ...photo(letter), blob: new Blob(['x']), state, upload: null });
const letters = async (store: Store): Promise<string[]> =>
  (await databaseOf(store).blobs.toCollection().primaryKeys()).map((sha256) => sha256[0]!);
const whole = (scope: string, rows: Row[], seq: number, more: object = {}) =>
  reply({ pages: [page(scope, 1, seq, rows)], complete: { [scope]: [1] }, upto: seq, ...more });

describe('a lost scope', () => {
  test('takes along its rows, staged pages, proofs, and what was fetched for them', async () => {
    const store = await new Disk().store();
    const order = { ...row('directive', 'd1', 3, {}), dot: 'c/0/1' };
    for (const letter of ['a', 'b']) await put(store, letter, 'fetched');
    const pages = [
      page('unit/u1', 1, 9, [told('f1', 3, 'a', 'b')]),
      page('unit/u1', 0, 9, [order], [], [proofOf(1, order)]),
    ];
    await store.take(reply({ pages, complete: { 'unit/u1': [0, 1] }, upto: 9 }));
    await store.take(reply({ pages: [page('unit/u1', 1, 11, [told('f2', 11)])], restart: [['unit/u1', 2]], upto: 20 }));
    await store.take(reply({ revoked: ['unit/u1'], upto: 20 }));
    const { rows, staged, proofs } = databaseOf(store);
    expect([await rows.count(), await staged.count(), await proofs.count(), await letters(store)]).toEqual([
      0,
      0,
      0,
      [],
    ]);
    expect(store.standing).toMatchObject({ restarting: [], bad: [], sums: {} });
    expect(store.memory.rows('feedback')).toEqual([]);
  });

  test('leaves what another scope still shows, and photos of own words that wait', async () => {
    const store = await new Disk().store();
    for (const [letter, state] of [
      ['a', 'fetched'],
      ['b', 'fetched'],
      ['c', 'waiting'],
      ['d', 'sent'],
    ] as const)
      await put(store, letter, state);
    await store.take(whole('unit/u1', [told('f1', 3, 'a', 'b', 'c', 'd')], 9));
    await store.take(whole('centre', [told('f2', 4, 'b')], 9));
    await store.take(reply({ revoked: ['unit/u1'], upto: 20 }));
    expect(await letters(store)).toEqual(['b', 'c']);
    expect(store.memory.rows('feedback').map((one) => one.id)).toEqual(['f2']);
  });

  test('does not take unsent words along', async () => {
    const store = await new Disk().store();
    await store.take(whole('unit/u1', [told('f1', 3)], 9));
    await store.save(saving('target.step', [step('s1')]));
    await store.take(reply({ revoked: ['unit/u1'] }));
    expect(store.outbox.length).toBe(1);
    expect(store.memory.view('step/s1')).not.toBeNull();
  });
});

test('a photo goes with the row that leaves, and with the edit that drops it', async () => {
  const store = await new Disk().store();
  for (const letter of ['a', 'b']) await put(store, letter, 'fetched');
  await store.take(whole('unit/u1', [told('f1', 3, 'a'), told('f2', 4, 'b')], 9));
  await store.take(
    reply({
      pages: [page('unit/u1', 1, 11, [told('f1', 11)], [['feedback', 'f2']])],
      complete: { 'unit/u1': [1] },
      upto: 11,
    }),
  );
  expect(await letters(store)).toEqual([]);
});

describe('a full disk', () => {
  async function with4(): Promise<Store> {
    const store = await new Disk().store();
    for (const [letter, state] of [
      ['a', 'fetched'],
      ['b', 'sent'],
      ['c', 'waiting'],
      ['d', 'draft'],
    ] as const)
      await put(store, letter, state);
    return store;
  }
  const save = (store: Store) => store.save(saving('target.step', [step('a')]));

  test('makes room by giving up photos that were fetched to be looked at, and saves', async () => {
    const store = await with4();
    failing(1);
    expect((await save(store))!.n).toBe(1);
    expect(await letters(store)).toEqual(['b', 'c', 'd']);
    expect(store.outbox.length).toBe(1);
  });

  test('then by copies of own ones that the centre has', async () => {
    const store = await with4();
    failing(2);
    expect((await save(store))!.n).toBe(1);
    expect(await letters(store)).toEqual(['c', 'd']);
  });

  test('that stays full says so by name, and nothing that is only here has gone', async () => {
    const store = await with4();
    failing(9);
    const failure = await save(store).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreFull);
    expect(isFull(failure)).toBe(true);
    expect(await letters(store)).toEqual(['c', 'd']);
    expect([store.outbox, store.lost]).toEqual([[], false]);
  });

  test('without anything to give up says so at once', async () => {
    const store = await new Disk().store();
    failing(1);
    await expect(save(store)).rejects.toBeInstanceOf(StoreFull);
  });
});

/** The next saves find no room. */
function failing(times: number): void {
  const real = IDBObjectStore.prototype.add;
  let left = times;
  vi.spyOn(IDBObjectStore.prototype, 'add').mockImplementation(function (this: IDBObjectStore, ...given) {
    if (this.name === 'outbox' && left-- > 0) throw new DOMException('full', 'QuotaExceededError');
    return real.apply(this, given);
  });
}

test('a table that is missing is told of, and nothing is said to be saved', async () => {
  let missing = false;
  const real = IDBDatabase.prototype.transaction;
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...given) {
    if (missing) throw new DOMException('One of the specified object stores was not found.', 'NotFoundError');
    return real.apply(this, given);
  });
  const store = await new Disk().store();
  const told = vi.fn();
  store.onChange(told);
  missing = true;
  await expect(store.save(saving('target.step', [step('a')]))).rejects.toBeInstanceOf(StoreLost);
  expect([store.lost, store.outbox]).toEqual([true, []]);
  expect(told).toHaveBeenCalled();
  missing = false;
  await store.save(saving('target.step', [step('a')]));
  expect(store.lost).toBe(false);
});
