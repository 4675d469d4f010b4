/** What is said to be saved is on disk, what is on disk is in order, and nothing is lost or shown too early. */

import { IDBKeyRange, IDBObjectStore as FDBObjectStore } from 'fake-indexeddb';
import { describe, expect, test, vi } from 'vitest';
import { MUTATION_BYTES_MAX, THUMB_BYTES_MAX, type Change } from '../../src/core/contract.ts';
import { Refusal, hashOf } from '../../src/core/mutation.ts';
import { runsToSend } from '../../src/core/outbox.ts';
import { StoreLost } from '../../src/store/guard.ts';
import { NotEnrolled, saveMutations } from '../../src/store/save.ts';
import { Store } from '../../src/store/store.ts';
import { Disk, REPLICA, databaseOf, page, quiet, reply, row, saving, step, verdict } from './world.ts';

const photo = { sha256: 'f'.repeat(64), size: 3, type: 'image/jpeg', thumb: '' };
const feedback = (id: string) => ({
  op: 'create',
  entity: 'feedback',
  id,
  fields: {
    target: 't1',
    directive: 'd1',
    unit: 'u1',
    round: 1,
    at: 1_760_000_000_000,
    kind: 'progress',
    text: '好',
    photos: [photo],
  },
});
const contact = {
  op: 'create',
  entity: 'contact',
  id: 'k1',
  fields: { unit: 'u1', name: '李', post: '主任', duty: 'head' },
};
const picture = () => ({
  sha256: photo.sha256,
  blob: new Blob(['abc']),
  size: 3,
  type: 'image/jpeg',
  state: 'draft' as const,
  upload: null,
});

const tables = FDBObjectStore.prototype as unknown as IDBObjectStore;

/** Makes the n-th `add` or `put` of a table fail, as a full or broken disk would. */
function failing(method: 'add' | 'put', error: DOMException, times = 1): () => void {
  const real = tables[method];
  let left = times;
  tables[method] = function (this: IDBObjectStore, ...given: Parameters<typeof real>) {
    if (this.name === 'outbox' && left-- > 0) throw error;
    return real.apply(this, given);
  } as typeof real;
  return () => {
    tables[method] = real;
  };
}

describe('saving', () => {
  test('a mutation, its tip, its stamp and its photo are on disk together', async () => {
    const disk = new Disk();
    const store = await disk.store();
    await store.blobs.add(picture());
    const saved = await store.save(saving('feedback.add', [feedback('f1')], { photos: [photo.sha256] }));
    const again = await disk.store();
    expect(again.outbox.map((one) => one.raw)).toEqual([saved!.raw]);
    expect(await again.read('tip/1', null)).toEqual({ n: 1, hash: hashOf(saved!.raw) });
    expect(await again.read('stamp', null)).toMatchObject({ counter: 0, replica: REPLICA });
    expect((await again.blobs.owed()).map((one) => one.sha256)).toEqual([photo.sha256]);
    expect(await (await again.blobs.get(photo.sha256))!.blob.text()).toBe('abc');
  });

  test('the chain names the hash of the mutation before it, per lane', async () => {
    const store = await new Disk().store();
    const first = await store.save(saving('target.step', [step('a')]));
    const other = await store.save(saving('feedback.add', [feedback('f1')]));
    const second = await store.save(saving('target.step', [step('b')]));
    expect([first, other, second].map((one) => one!.mutation.prev)).toEqual(['', '', first!.hash]);
    expect(second!.mutation.stamp > other!.mutation.stamp).toBe(true);
  });

  test('two tabs never use a number twice', async () => {
    const disk = new Disk();
    const [one, two] = [await disk.store(), await disk.store()];
    const ids = Array.from({ length: 10 }, (_, i) => `s${i}`);
    await Promise.all(ids.map((id, i) => (i % 2 ? one : two).save(saving('target.step', [step(id)]))));
    await quiet(one, two);
    for (const store of [one, two, await disk.store()]) {
      expect(store.outbox.map((item) => item.n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      for (const [i, item] of store.outbox.entries()) {
        expect(item.saved.mutation.prev).toBe(i ? store.outbox[i - 1]!.hash : '');
      }
    }
  });

  test('what fails before the end leaves nothing behind', async () => {
    const disk = new Disk();
    const store = await disk.store();
    await store.blobs.add(picture());
    const mend = failing('add', new DOMException('full', 'QuotaExceededError'));
    const save = store.save(saving('feedback.add', [feedback('f1')], { photos: [photo.sha256] }));
    await expect(save).rejects.toThrow();
    mend();
    expect(store.outbox).toEqual([]);
    const again = await disk.store();
    expect(again.outbox).toEqual([]);
    expect(await again.read('tip/1', null)).toBeNull();
    expect(await again.read('stamp', null)).toBeNull();
    expect(await again.blobs.owed()).toEqual([]);
    expect((await again.save(saving('feedback.add', [feedback('f1')])))!.n).toBe(1);
  });

  test('a lost connection is opened again and the save done once', async () => {
    const store = await new Disk().store();
    const mend = failing('add', new DOMException('Connection to Indexed Database server lost', 'UnknownError'));
    const saved = await store.save(saving('target.step', [step('a')]));
    mend();
    expect(saved!.n).toBe(1);
    expect(store.outbox.length).toBe(1);
    expect(store.lost).toBe(false);
  });

  test('a connection lost twice is told, and well again after the next success', async () => {
    const store = await new Disk().store();
    const told = vi.fn();
    store.onChange(told);
    const mend = failing('add', new DOMException('lost', 'InvalidStateError'), 2);
    await expect(store.save(saving('target.step', [step('a')]))).rejects.toBeInstanceOf(StoreLost);
    mend();
    expect(store.lost).toBe(true);
    expect(told).toHaveBeenCalled();
    await store.save(saving('target.step', [step('a')]));
    expect(store.lost).toBe(false);
  });

  test('a save whose answer was lost is not made twice', async () => {
    const store = await new Disk().store();
    const request = saving('target.step', [step('a')]);
    const first = await store.save(request);
    const [second] = await saveMutations(databaseOf(store), [request]);
    expect(second).toMatchObject({ saved: first });
  });

  test('several are one transaction, each once, though the answer was lost or one is refused', async () => {
    const store = await new Disk().store();
    const requests = ['a', 'b', 'c'].map((id) => saving('target.step', [step(id)], { once: `receipt/${id}` }));
    requests.splice(1, 0, saving('target.step', [step('x', { round: null })]));
    const results = await store.saveAll(requests);
    expect(results.map((one) => one instanceof Refusal)).toEqual([false, true, false, false]);
    expect(store.outbox.map((one) => one.n)).toEqual([1, 2, 3]);
    expect(store.outbox[2]!.saved.mutation.prev).toBe(store.outbox[1]!.hash);
    expect(store.memory.children('step', 't1').map((one) => one.id)).toEqual(['a', 'b', 'c']);
    const again = await saveMutations(databaseOf(store), requests);
    expect(again.map((one) => one !== null && !(one instanceof Refusal) && one.record.n)).toEqual([1, false, 2, 3]);
    expect(await databaseOf(store).outbox.count()).toBe(3);
  });

  test('an edit upon an edit lies on top without laying all anew', async () => {
    const store = await new Disk().store();
    const overlay = vi.spyOn(store.memory, 'overlay');
    const edit = (fields: object) => saving('contact.edit', [{ op: 'set', entity: 'contact', id: 'k1', fields }]);
    await store.save(saving('contact.edit', [contact]));
    await store.save(edit({ name: '王' }));
    await store.save(edit({ post: '科长' }));
    expect(store.memory.rows('contact').map((one) => one.fields)).toMatchObject([{ name: '王', post: '科长' }]);
    expect(overlay).not.toHaveBeenCalled();
  });

  test('nine photos with whole thumbs fit into one mutation; what no server takes is refused here', async () => {
    const store = await new Disk().store();
    const thumb = `data:image/jpeg;base64,${Buffer.alloc(THUMB_BYTES_MAX, 0xff).toString('base64')}`;
    const full = feedback('f1');
    full.fields.photos = Array.from({ length: 9 }, (_, i) => ({ ...photo, sha256: String(i).repeat(64), thumb }));
    full.fields.text = '水'.repeat(2_000);
    const saved = await store.save(saving('feedback.add', [full]));
    const bytes = Buffer.byteLength(saved!.raw);
    expect(bytes).toBeGreaterThan(65_536);
    expect(bytes).toBeLessThanOrEqual(MUTATION_BYTES_MAX);
    const changes = Array.from({ length: 20 }, (_, i) => step(`s${i}`));
    await expect(store.save(saving('target.step', changes))).rejects.toMatchObject({ code: 'too_large' });
    expect(store.outbox.length).toBe(1);
  });

  test('what no server would take is refused before it is written', async () => {
    const store = await new Disk().store();
    const homes = { op: 'set', entity: 'person', id: 'p', fields: { roles: ['admin'] } };
    await expect(store.save(saving('register.load', [homes]))).rejects.toMatchObject({ code: 'server_only' });
    await expect(store.save(saving('target.step', [step('a', { round: null })]))).rejects.toBeInstanceOf(Refusal);
    expect(store.outbox).toEqual([]);
  });

  test('a mark is used once, also in two tabs at once', async () => {
    const disk = new Disk();
    const [one, two] = [await disk.store(), await disk.store()];
    const saves = [one, two, one].map((store, i) =>
      store.save(saving('target.step', [step(`s${i}`)], { once: 'receipt/t1/1' })),
    );
    expect((await Promise.all(saves)).filter((saved) => saved !== null).length).toBe(1);
  });

  test('nobody saves on a device that is not enrolled', async () => {
    const { indexedDB } = new Disk();
    const store = await Store.open({
      name: 'empty',
      now: () => 0,
      indexedDB,
      IDBKeyRange: IDBKeyRange as never,
    });
    await expect(store.save(saving('target.step', [step('a')]))).rejects.toBeInstanceOf(NotEnrolled);
  });

  test('runs go out lane 0 first, in the exact bytes', async () => {
    const store = await new Disk().store();
    await store.save(saving('feedback.add', [feedback('f1')]));
    const urgent = await store.save(saving('target.step', [step('a')]));
    const runs = runsToSend(store.outbox.map((one) => one.saved));
    expect(runs.map((run) => run.lane)).toEqual([0, 1]);
    expect(runs[0]!.group[0]!.raw).toBe(urgent!.raw);
  });
});

describe('taking', () => {
  test('an item leaves the outbox only when dot and hash are named', async () => {
    const store = await new Disk().store();
    const { hash, n } = (await store.save(saving('target.step', [step('a')])))!;
    const dot = `${REPLICA}/0/${n}`;
    await store.take(reply({ verdicts: [verdict(dot, '0'.repeat(64), 4), verdict('other/0/1', hash, 4)] }));
    expect(store.outbox.length).toBe(1);
    await store.take(reply({ verdicts: [verdict(dot, hash, 4)] }));
    expect(store.outbox.length).toBe(0);
    expect(store.awaiting.map((one) => [one.seq, one.arrived])).toEqual([[4, reply({}).now]]);
    expect(store.memory.view('step/a')).not.toBeNull();
  });

  test('words that the centre could not read are settled by their hash, and seen', async () => {
    const store = await new Disk().store();
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    const unread = { ...verdict('', hash, 0, 'refused'), code: 'bad_mutation' };
    await store.take(reply({ verdicts: [{ ...unread, hash: '0'.repeat(64) }, unread] }));
    expect(store.outbox).toEqual([]);
    expect(store.refused.map((one) => [one.hash, one.verdict.code])).toEqual([[hash, 'bad_mutation']]);
    expect(store.memory.view('step/a')).toBeNull();
  });

  test('held stays, and says so', async () => {
    const store = await new Disk().store();
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    const held = { ...verdict(`${REPLICA}/0/1`, hash, 4, 'held'), code: 'parent_unknown' };
    await store.take(reply({ verdicts: [held] }));
    expect(store.outbox.map((one) => one.held)).toEqual(['parent_unknown']);
  });

  test('rows of an incomplete lane are seen by nobody, not even after a restart', async () => {
    const disk = new Disk();
    const store = await disk.store();
    await store.take(reply({ pages: [page('directory', 2, 3, [row('unit', 'u1', 3)])], upto: 9 }));
    expect(store.memory.rows('unit')).toEqual([]);
    const again = await disk.store();
    expect(again.memory.rows('unit')).toEqual([]);
    await again.take(reply({ pages: [page('directory', 2, 9, [])], complete: { directory: [2] }, upto: 9 }));
    expect(again.memory.rows('unit').map((one) => one.id)).toEqual(['u1']);
    await quiet(store);
    expect(store.memory.rows('unit').map((one) => one.id)).toEqual(['u1']);
  });

  test('a failed take leaves rows, cursors and outbox as they were', async () => {
    const disk = new Disk();
    const store = await disk.store();
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    const real = FDBObjectStore.prototype.put;
    FDBObjectStore.prototype.put = function (this: { name: string }, ...given: Parameters<typeof real>) {
      if (this.name === 'meta') throw new DOMException('full', 'QuotaExceededError');
      return real.apply(this as never, given);
    } as typeof real;
    const pages = [page('directory', 2, 3, [row('unit', 'u1', 3)])];
    const verdicts = [verdict(`${REPLICA}/0/1`, hash, 3)];
    await expect(store.take(reply({ verdicts, pages, complete: { directory: [2] }, upto: 3 }))).rejects.toThrow();
    FDBObjectStore.prototype.put = real;
    const again = await disk.store();
    for (const one of [store, again]) {
      expect(one.outbox.length).toBe(1);
      expect(one.memory.rows('unit')).toEqual([]);
      expect(await one.cursors()).toEqual({});
    }
  });

  test('a row that came while another tab looked on is seen there too', async () => {
    const disk = new Disk();
    const [one, two] = [await disk.store(), await disk.store()];
    const told = vi.fn();
    two.onChange(told);
    await one.take(
      reply({ pages: [page('directory', 2, 3, [row('unit', 'u1', 3)])], complete: { directory: [2] }, upto: 3 }),
    );
    await quiet(two);
    expect(two.memory.rows('unit').map((each) => each.id)).toEqual(['u1']);
    expect(told).toHaveBeenCalledWith(new Set(['unit/u1']));
  });

  test('children are found by their parent, own unconfirmed ones among them', async () => {
    const store = await new Disk().store();
    const confirmed = row('step', 'b', 3, step('b').fields);
    await store.take(reply({ pages: [page('unit/u1', 0, 3, [confirmed])], complete: { 'unit/u1': [0] }, upto: 3 }));
    await store.save(saving('target.step', [step('a')]));
    await store.save(saving('target.step', [step('z', { target: 't2' })]));
    expect(
      store.memory
        .children('step', 't1')
        .map((one) => one.id)
        .sort(),
    ).toEqual(['a', 'b']);
    expect(store.memory.children('step', 't9')).toEqual([]);
  });

  test('own words about what the centre removed bring no part of it back to the screen', async () => {
    const store = await new Disk().store();
    const phone = row('contact_phone', 'p1', 3, { unit: 'u1', contact: 'c1', kind: 'mobile', number: '1' });
    const complete = { 'register/u1': [2] };
    await store.take(reply({ pages: [page('register/u1', 2, 3, [phone])], complete, upto: 3 }));
    const edit: Change = { op: 'set', entity: 'contact_phone', id: 'p1', fields: { number: '2' } };
    await store.save(saving('contact.edit', [edit]));
    expect(store.memory.rows('contact_phone')).toHaveLength(1);
    const gone = { ...phone, seq: 5, fields: {}, removed: true };
    await store.take(reply({ pages: [page('register/u1', 2, 5, [gone])], complete, upto: 5 }));
    expect(store.memory.rows('contact_phone')).toEqual([]);
    expect(store.outbox).toHaveLength(1);
  });

  test('an older answer that comes late brings nothing back', async () => {
    const store = await new Disk().store();
    const older = reply({
      pages: [page('directory', 2, 3, [row('unit', 'u1', 3)])],
      complete: { directory: [2] },
      upto: 3,
    });
    const newer = reply({
      pages: [page('directory', 2, 5, [], [['unit', 'u1']])],
      complete: { directory: [2] },
      upto: 5,
    });
    await store.take(newer);
    await store.take(older);
    expect(store.memory.rows('unit')).toEqual([]);
    expect(await store.cursors()).toEqual({ directory: { '2': 5 } });
  });

  test('what the centre tells of a row shows under an own edit of another field', async () => {
    const store = await new Disk().store();
    const told = (seq: number, fields: object) =>
      reply({
        pages: [page('register/u1', 2, seq, [row('contact', 'k1', seq, { name: '李', post: '主任', ...fields })])],
        complete: { 'register/u1': [2] },
        upto: seq,
      });
    await store.take(told(3, {}));
    await store.save(saving('contact.edit', [{ op: 'set', entity: 'contact', id: 'k1', fields: { name: '王' } }]));
    await store.take(told(4, { post: '科长' }));
    expect(store.memory.rows('contact').map((one) => one.fields)).toEqual([{ name: '王', post: '科长' }]);
  });
});

test('a newer database in another tab asks this one to reload', async () => {
  const disk = new Disk();
  const store = await disk.store();
  const told = vi.fn();
  store.onChange(told);
  await new Promise<void>((resolve, reject) => {
    const opening = disk.indexedDB.open('test', 999);
    opening.onsuccess = () => resolve();
    opening.onerror = () => reject(opening.error);
  });
  expect(store.outdated).toBe(true);
  expect(told).toHaveBeenCalled();
  await expect(store.save(saving('target.step', [step('a')]))).rejects.toBeInstanceOf(StoreLost);
});

describe('drafts', () => {
  const DAY_MS = 86_400_000;

  test('survive a tab that is killed, and are dropped for good', async () => {
    const disk = new Disk();
    const [store, other] = [await disk.store(), await disk.store()];
    const value = { text: '水位', photos: [photo] };
    const keeping = store.keepDraft('feedback/t1', value);
    value.text = 'later';
    expect(store.draft('feedback/t1')).toEqual({ text: '水位', photos: [photo] });
    await keeping;
    await quiet(other);
    for (const one of [other, await disk.store()]) {
      expect(one.draft('feedback/t1')).toEqual({ text: '水位', photos: [photo] });
    }
    await store.keepDraft('feedback/t1', null);
    expect(store.draft('feedback/t1')).toBeNull();
    expect((await disk.store()).draft('feedback/t1')).toBeNull();
  });

  test('keep the photos they name; photos of given-up forms go after a week', async () => {
    const store = await new Disk().store();
    const put = (letter: string, more: object = {}) =>
      store.blobs.add({ ...picture(), sha256: letter.repeat(64), at: 0, ...more });
    await put('a');
    await put('b');
    await put('c', { at: undefined });
    await put('d', { state: 'waiting' });
    await store.keepDraft('x', { deep: [{ photos: [{ ...photo, sha256: 'a'.repeat(64) }] }] });
    await store.blobs.sweep(7 * DAY_MS);
    expect(await store.blobs.get('b'.repeat(64))).toBeDefined();
    await store.blobs.sweep(7 * DAY_MS + 1);
    const left = await Promise.all(['a', 'b', 'c', 'd'].map((one) => store.blobs.get(one.repeat(64))));
    expect(left.map((one) => one !== undefined)).toEqual([true, false, true, true]);
    await store.blobs.sweep(15 * DAY_MS);
    expect(await store.blobs.get('c'.repeat(64))).toBeUndefined();
  });
});
