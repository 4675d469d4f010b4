/** A device that was filled by the app before this one loses nothing when this one opens its database. */

import Dexie from 'dexie';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { expect, test } from 'vitest';
import { Store } from '../../src/store/store.ts';
import { ME, REPLICA, T, databaseOf, page, reply, row, saving, step, sumOf, verdict } from './world.ts';

const OPTIONS = {
  indexedDB: new IDBFactory() as unknown as globalThis.IDBFactory,
  IDBKeyRange: IDBKeyRange as unknown as typeof globalThis.IDBKeyRange,
};
const PHOTO = { sha256: 'f'.repeat(64), size: 1, type: 'image/jpeg', thumb: '' };

/** The tables as the first version had them. */
function firstTables(name: string): Dexie {
  const first = new Dexie(name, OPTIONS);
  first.version(1).stores({
    rows: 'key, *scopes',
    outbox: '[lane+n]',
    awaiting: '[lane+n]',
    refused: '[lane+n]',
    staged: '++id, [scope+lane]',
    meta: 'key',
    blobs: 'sha256, state',
  });
  return first;
}

/** A row as an older centre told it, and an older app kept it. */
function oldRow(entity: string, id: string, seq: number, fields: object, scopes: string[]) {
  const { home: _home, provisional: _provisional, ...body } = row(entity, id, seq, fields as never);
  return { key: `${entity}/${id}`, scopes, seq, body };
}

/** What an app of today would have saved, for its exact text. */
async function savedStep(n: number) {
  const store = await Store.open({ name: `text-${n}`, now: () => T, ...OPTIONS });
  await store.write({ identity: ME });
  for (let i = 1; i < n; i++) await store.save(saving('target.step', [step(`s${i}`)]));
  await store.save(saving('target.step', [step(`s${n}`)]));
  const { lane, raw, hash, ticket, at, photos } = store.outbox[n - 1]!;
  store.close();
  return { lane, n, raw, hash, ticket, at, photos };
}

test('everything of the first version is there, and every row has its sum', async () => {
  const words = [await savedStep(1), await savedStep(2), await savedStep(3)];
  const first = firstTables('old');
  const rows = [
    oldRow('unit', 'u1', 3, { name: '一队' }, ['directory', 'centre']),
    oldRow('feedback', 'f1', 4, { text: '好', photos: [PHOTO] }, ['unit/u1']),
    oldRow('later_entity', 'x', 5, { what: '?' }, ['directory']),
    { key: 'unit/broken', scopes: ['directory'], seq: 6, body: null },
  ];
  const { seq: _seq, ...told } = verdict(`${REPLICA}/0/3`, words[2]!.hash, 8, 'refused');
  const { tags: _tags, ...refusal } = { ...told, seq: 8 };
  const { scopes: _scopes, ...staged } = oldRow('unit', 'u2', 9, { name: '二队' }, []);
  await first.table('rows').bulkPut(rows);
  await first.table('outbox').put({ ...words[0]!, held: null });
  await first.table('awaiting').put({ ...words[1]!, seq: 7, arrived: T });
  await first.table('refused').put({ ...words[2]!, verdict: refusal });
  await first.table('staged').put({ scope: 'directory', lane: 2, rows: [staged], out: [], late: [] });
  await first.table('blobs').put({ ...PHOTO, blob: new Blob(['x']), state: 'fetched', upload: null });
  await first.table('meta').bulkPut([
    { key: 'identity', value: { ...ME, centre: 'c1' } },
    { key: 'cursors', value: { directory: { '2': 8 } } },
    { key: 'tip/0', value: { n: 3, hash: words[2]!.hash } },
    { key: 'draft/x', value: { text: '稿' } },
  ]);
  first.close();

  const store = await Store.open({ name: 'old', now: () => T, ...OPTIONS });
  expect(store.outbox.map(({ hash, held }) => [hash, held])).toEqual([[words[0]!.hash, null]]);
  expect(store.awaiting.map(({ hash, seq, tags }) => [hash, seq, tags])).toEqual([[words[1]!.hash, 7, []]]);
  expect(store.refused.map(({ hash, verdict: kept }) => [hash, kept.tags])).toEqual([[words[2]!.hash, []]]);
  expect((await databaseOf(store).sent.toArray()).map(({ hash }) => hash)).toEqual([words[1]!.hash]);
  expect(store.draft('x')).toEqual({ text: '稿' });
  expect(await store.blobs.get(PHOTO.sha256)).toBeDefined();
  expect(await store.cursors()).toEqual({ directory: { '2': 8 } });
  const kept = await databaseOf(store).rows.toArray();
  expect(kept.map(({ key, lane, photos }) => [key, lane, photos])).toEqual([
    ['feedback/f1', 1, [PHOTO.sha256]],
    ['later_entity/x', 4, []],
    ['unit/u1', 2, []],
  ]);
  expect(kept.map(({ body }) => body.home)).toEqual(['', '', '']);

  const homeless = (id: string, seq: number, name: string) => ({ ...row('unit', id, seq, { name }), home: '' });
  const [old, next] = [homeless('u1', 3, '一队'), homeless('u2', 9, '二队')];
  const digests = { directory: { '2': sumOf(old, next) } };
  await store.take(reply({ pages: [page('directory', 2, 9, [])], complete: { directory: [2] }, upto: 9, digests }));
  expect(store.memory.rows('unit').map((one) => one.fields.name)).toEqual(['一队', '二队']);
  expect(store.standing.bad).toEqual([]);
  expect((await store.save(saving('target.step', [step('s4')])))!.mutation).toMatchObject({
    n: 4,
    prev: words[2]!.hash,
  });
});

test('a new device begins with the tables of today', async () => {
  const store = await Store.open({ name: 'new', now: () => T, ...OPTIONS });
  const names = databaseOf(store).tables.map(({ name }) => name);
  expect(names.sort()).toEqual(
    ['awaiting', 'blobs', 'damaged', 'meta', 'outbox', 'proofs', 'refused', 'rows', 'sent', 'staged'].sort(),
  );
});
