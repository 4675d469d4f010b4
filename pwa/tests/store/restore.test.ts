/** A centre that was restored from a backup gets back what this device has, and nothing is taken from it meanwhile. */

import { describe, expect, test } from 'vitest';
import type { Proof, Row } from '../../src/core/contract.ts';
import type { Store } from '../../src/store/store.ts';
import type { Asked } from '../../src/store/take.ts';
import { Disk, REPLICA, databaseOf, page, proofOf, reply, row, saving, step, sumOf, verdict } from './world.ts';

const FORK = 10;
const order = (n: number, seq: number): Row => ({ ...row('directive', `d${n}`, seq, {}), dot: `c/0/${n}` });
const dotOf = ({ replica, lane, n }: Proof): string => `${replica}/${lane}/${n}`;
const restored = (more: object = {}) => reply({ epoch: 'e2', fork: FORK, upto: 12, ...more });
const asked = async (store: Store, lanes: number[] | null = null): Promise<Asked> =>
  (await store.asking(lanes, 1_000_000)).asked;
const shown = (store: Store): string[] => store.memory.rows('directive').map((one) => one.id);
const own = (n: number): string => `${REPLICA}/0/${n}`;

/** A device that holds orders, whose signed words came with those of `proven`. */
async function holding(orders: Row[], proven: number[] = [], disk = new Disk()): Promise<[Store, Disk]> {
  const store = await disk.store();
  const proofs = orders.flatMap((one, i) => (proven.includes(i + 1) ? [proofOf(i + 1, one)] : []));
  const pages = [page('unit/u1', 0, 20, orders, [], proofs)];
  await store.take(reply({ pages, complete: { 'unit/u1': [0] }, upto: 20 }));
  return [store, disk];
}

describe('own words', () => {
  test('above the fork go again, those below stay sent', async () => {
    const [store, disk] = await holding([]);
    const hashes: string[] = [];
    for (const id of ['a', 'b', 'c', 'd']) hashes.push((await store.save(saving('target.step', [step(id)])))!.hash);
    const told = (n: number, seq: number, word = 'applied') => verdict(own(n), hashes[n - 1]!, seq, word);
    await store.take(reply({ verdicts: [told(1, 9), told(2, 11), told(3, 12, 'refused'), told(4, 5, 'held')] }));
    await store.take(restored());
    const again = await disk.store();
    expect(again.outbox.map(({ n, held, again: more }) => [n, held, more ?? false])).toEqual([
      [2, null, true],
      [3, null, true],
      [4, null, false],
    ]);
    expect((await databaseOf(again).sent.toArray()).map(({ n }) => n)).toEqual([1]);
    expect([again.refused, await again.read('identity', null)]).toMatchObject([[], { epoch: 'e2' }]);
    expect(again.memory.rows('step').map((one) => one.id)).toEqual(['b', 'c', 'd']);
  });

  test('that the new log has judged in the same answer are not sent once more', async () => {
    const [store] = await holding([]);
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    await store.take(restored({ verdicts: [verdict(own(1), hash, 11)] }));
    expect(store.outbox).toEqual([]);
    expect((await databaseOf(store).sent.toArray()).map(({ seq }) => seq)).toEqual([11]);
  });

  test('go again in full where the centre does not know the log', async () => {
    const [store] = await holding([]);
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    await store.take(reply({ verdicts: [verdict(own(1), hash, 3)] }));
    await store.take(restored({ fork: null }));
    expect(store.outbox.map(({ n }) => n)).toEqual([1]);
  });
});

describe('own photos', () => {
  test('are offered again, whether or not their words are lost; copies of those of others are not', async () => {
    const [store] = await holding([]);
    const photo = (letter: string, state: 'sent' | 'fetched') =>
      ({ sha256: letter.repeat(64), blob: new Blob(['x']), size: 1, type: 'image/jpeg', state, upload: 'u' }) as const;
    await store.blobs.add(photo('a', 'sent'));
    await store.blobs.add(photo('b', 'fetched'));
    await store.take(restored());
    expect((await store.blobs.owed()).map(({ sha256, upload }) => [sha256[0], upload])).toEqual([['a', null]]);
    expect(await store.blobs.get('b'.repeat(64))).toMatchObject({ state: 'fetched' });
  });
});

describe('signed orders of the centre', () => {
  test('above the fork are offered, and left out once the centre has them', async () => {
    const [store] = await holding([order(1, 9), order(2, 11), order(3, 12)], [1, 2, 3]);
    await store.take(restored());
    const { offers, asked: first } = await store.asking(null, 1_000_000);
    expect(offers.map(dotOf)).toEqual(['c/0/2', 'c/0/3']);
    await store.take(reply({ epoch: 'e2', verdicts: [verdict('c/0/2', 'h', 13)], upto: 13 }), first);
    expect((await store.asking(null, 1_000_000)).offers.map(dotOf)).toEqual(['c/0/3']);
    await store.take(reply({ epoch: 'e2', verdicts: [verdict('c/0/3', 'h', 0, 'held')], upto: 13 }), first);
    expect((await store.asking(null, 1_000_000)).offers).toEqual([]);
    expect(store.outbox).toEqual([]);
  });

  test('that convince nobody leave their rows to be reported, and those are shown until then', async () => {
    const [store] = await holding([order(1, 11), order(2, 12)], [1, 2]);
    await store.take(restored());
    const { asked: first } = await store.asking(null, 1_000_000);
    const told = [verdict('c/0/1', 'h', 0, 'refused'), verdict('c/0/2', 'h', 13, 'refused')];
    const anew = { restart: [['unit/u1', 0]], complete: { 'unit/u1': [0] }, upto: 13 } as object;
    await store.take(reply({ epoch: 'e2', verdicts: told, ...anew }), first);
    expect([store.standing.offers, store.standing.unseen]).toEqual([[], ['directive/d1']]);
    expect(shown(store)).toEqual(['d1', 'd2']);
    expect((await store.asking(null, 1_000_000)).seen.map(({ id }) => id)).toEqual(['d1']);
  });

  test('that convince nobody leave alone the rows that others have written over since', async () => {
    const over = { ...order(1, 12), dot: 'c/0/7' };
    const [store] = await holding([over], []);
    const pages = [page('unit/u1', 0, 21, [over], [], [proofOf(1, over)])];
    await store.take(reply({ pages, complete: { 'unit/u1': [0] }, upto: 21 }));
    await store.take(restored());
    const unseen = store.standing.unseen;
    const { asked: first } = await store.asking(null, 1_000_000);
    await store.take(reply({ epoch: 'e2', verdicts: [verdict('c/0/1', 'h', 0, 'refused')] }), {
      ...first,
      seen: unseen,
    });
    expect(store.standing.unseen).toEqual([]);
  });

  test('that the disk has lost are not waited for', async () => {
    const [store] = await holding([order(1, 11), order(2, 12)], [1, 2]);
    await store.take(restored());
    await databaseOf(store).proofs.delete('c/0/1');
    const { asked: first, offers, wordsWait } = await store.asking(null, 1_000_000);
    expect([offers.map(dotOf), first.offers, wordsWait]).toEqual([['c/0/2'], ['c/0/2'], false]);
    await store.take(reply({ epoch: 'e2', upto: 13 }), first);
    expect(store.standing.offers).toEqual(['c/0/2']);
  });

  test('go before own words, which go with the request that carries the last of them', async () => {
    const [store] = await holding([order(1, 11), order(2, 12)], [1, 2]);
    expect((await store.asking(null, 1_000_000)).wordsWait).toBe(false);
    await store.take(restored());
    expect((await store.asking(null, 1)).wordsWait).toBe(true);
    expect((await store.asking([0], 1_000_000)).wordsWait).toBe(true);
    expect((await store.asking(null, 1_000_000)).wordsWait).toBe(false);
  });

  test('are known by their seq in the new log once they came again', async () => {
    const [store] = await holding([order(1, 11)], [1]);
    await store.take(restored());
    const { asked: first } = await store.asking(null, 1_000_000);
    const pages = [page('unit/u1', 0, 16, [order(1, 15)], [], [proofOf(1, order(1, 15))])];
    const more = {
      restart: [['unit/u1', 0]],
      complete: { 'unit/u1': [0] },
      verdicts: [verdict('c/0/1', 'h', 15)],
    } as object;
    await store.take(reply({ epoch: 'e2', pages, upto: 16, ...more }), first);
    expect(store.standing.offers).toEqual([]);
    await store.take(reply({ epoch: 'e3', fork: 12, upto: 12 }), await asked(store));
    expect(store.standing.offers).toEqual(['c/0/1']);
  });

  test('go with requests for all lanes alone, as many as find room', async () => {
    const [store] = await holding([order(1, 11), order(2, 12)], [1, 2]);
    await store.take(restored());
    expect((await store.asking([0], 1_000_000)).offers).toEqual([]);
    const { offers, asked: first } = await store.asking(null, 1);
    expect([offers.map(dotOf), first.offers]).toEqual([['c/0/1'], ['c/0/1']]);
  });

  test('are kept as long as a row rests on them, by the lowest seq they can have', async () => {
    const [store] = await holding([order(1, 9)], [1]);
    const edited = { ...order(1, 15), writes: { text: ['s', 'c/0/5'] } };
    const pages = [page('unit/u1', 0, 21, [edited], [], [proofOf(1, edited), proofOf(5, edited)])];
    await store.take(reply({ pages, complete: { 'unit/u1': [0] }, upto: 21 }));
    const seqs = async () => (await databaseOf(store).proofs.toArray()).map(({ dot, seq }) => [dot, seq]);
    expect(await seqs()).toEqual([
      ['c/0/1', 9],
      ['c/0/5', 15],
    ]);
    await store.take(
      reply({ pages: [page('unit/u1', 0, 22, [], [['directive', 'd1']])], complete: { 'unit/u1': [0] }, upto: 22 }),
    );
    expect(await seqs()).toEqual([]);
  });

  test('that say something else than their number, or touch no row here, are not kept', async () => {
    const [store] = await holding([]);
    const held = order(1, 9);
    const proofs = [{ ...proofOf(1, held), n: 4 }, { ...proofOf(2, held), raw: '{' }, proofOf(3, order(9, 9))];
    const pages = [page('unit/u1', 0, 21, [held], [], proofs)];
    await store.take(reply({ pages, complete: { 'unit/u1': [0] }, upto: 21 }));
    expect(await databaseOf(store).proofs.count()).toBe(0);
  });

  test('whose rows are taken away before all were offered are offered all the same, and kept no longer', async () => {
    const orders = Array.from({ length: 60 }, (_, i) => order(i + 1, 11));
    const [store] = await holding(
      orders,
      orders.map((_, i) => i + 1),
    );
    await store.take(restored());
    const lots: number[] = [];
    while (store.standing.offers.length && lots.length < 9) {
      const { offers, asked: next } = await store.asking(null, 1_000_000);
      lots.push(offers.length);
      const verdicts = offers.map((one) => verdict(dotOf(one), 'h', 13));
      await store.take(reply({ epoch: 'e2', verdicts, revoked: ['unit/u1'], upto: 13 }), next);
    }
    expect(lots).toEqual([50, 10]);
    expect([shown(store), await databaseOf(store).proofs.count()]).toEqual([[], 0]);
  });

  test('whose rows the new log lacks are offered all the same', async () => {
    const [store] = await holding([order(1, 11), order(2, 12)], [1, 2]);
    await store.take(restored());
    const { asked: first } = await store.asking(null, 1);
    const anew = { restart: [['unit/u1', 0]], complete: { 'unit/u1': [0] }, upto: 13 } as object;
    await store.take(reply({ epoch: 'e2', verdicts: [verdict('c/0/1', 'h', 13)], ...anew }), first);
    expect(shown(store)).toEqual([]);
    expect((await store.asking(null, 1_000_000)).offers.map(dotOf)).toEqual(['c/0/2']);
  });
});

describe('rows', () => {
  test('stay to be seen, and any row of the new log replaces one of them', async () => {
    const [store, disk] = await holding([order(1, 9), order(2, 8)]);
    await store.take(restored({ pages: [page('unit/u1', 0, 3, [order(7, 3)])], complete: { 'unit/u1': [0] } }));
    expect(shown(store)).toEqual(['d1', 'd2']);
    expect(await store.cursors()).toEqual({ 'unit/u1': {} });
    const again = await disk.store();
    const anew = { ...order(1, 4), fields: { text: 'new' } };
    const more = {
      restart: [['unit/u1', 0]],
      complete: { 'unit/u1': [0] },
      digests: { 'unit/u1': { '0': sumOf(anew) } },
    };
    await again.take(
      reply({ epoch: 'e2', pages: [page('unit/u1', 0, 4, [anew])], upto: 12, ...more } as object),
      await asked(again),
    );
    expect(again.memory.rows('directive').map((one) => one.fields.text)).toEqual(['new']);
    expect(again.standing).toMatchObject({ bad: [], restarting: [] });
  });

  test('that nobody can bring back are reported before anything takes their place', async () => {
    const mine = { ...row('step', 's1', 12, step('s1').fields), dot: own(1) };
    const [store] = await holding([order(1, 9), order(2, 11), order(3, 12), mine], [2]);
    await store.take(restored());
    const { seen, asked: first } = await store.asking(null, 1_000_000);
    expect(seen.map(({ id, seq }) => [id, seq])).toEqual([
      ['d3', 12],
      ['s1', 12],
    ]);
    const anew = {
      ...{ epoch: 'e2', restart: [['unit/u1', 0]], complete: { 'unit/u1': [0] }, upto: 12 },
      pages: [page('unit/u1', 0, 9, [order(1, 9)])],
    } as object;
    await store.take(reply(anew), await asked(store, [0]));
    expect(shown(store)).toEqual(['d1', 'd2', 'd3']);
    expect(await store.cursors()).toEqual({ 'unit/u1': { '0': 9 } });
    await store.take(reply({ epoch: 'e2', complete: { 'unit/u1': [0] }, upto: 12 }), {
      ...first,
      cursors: await store.cursors(),
    });
    expect(store.standing.unseen).toEqual([]);
    expect(shown(store)).toEqual(['d1']);
  });

  test('of own words that still wait or are kept are not reported', async () => {
    const [store] = await holding([]);
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    const mine = { ...row('step', 'a', 12, step('a').fields), dot: own(1) };
    const pages = [page('unit/u1', 0, 21, [mine])];
    await store.take(reply({ verdicts: [verdict(own(1), hash, 12)], pages, complete: { 'unit/u1': [0] }, upto: 21 }));
    await store.take(restored());
    expect(store.standing.unseen).toEqual([]);
  });

  test('are reported as many as find room at once, until all are', async () => {
    const orders = Array.from({ length: 120 }, (_, i) => order(i + 1, 11));
    const [store] = await holding(orders);
    await store.take(restored());
    const lots: number[] = [];
    while (store.standing.unseen.length && lots.length < 9) {
      const { seen, asked: next } = await store.asking(null, 1_000_000);
      lots.push(seen.length);
      await store.take(reply({ epoch: 'e2' }), next);
    }
    expect(lots).toEqual([50, 50, 20]);
  });

  test('that nobody can bring back are all reported before their scope is lost', async () => {
    const [store] = await holding(Array.from({ length: 60 }, (_, i) => order(i + 1, 11)));
    await store.take(restored());
    const lots: number[] = [];
    while (store.standing.unseen.length && lots.length < 9) {
      const { seen, asked: next } = await store.asking(null, 1_000_000);
      lots.push(seen.length);
      await store.take(reply({ epoch: 'e2', revoked: ['unit/u1'], upto: 12 }), next);
    }
    expect(lots).toEqual([50, 10]);
    expect(shown(store)).toEqual([]);
  });

  test('of a scope that is lost with the log go once what proves them was offered', async () => {
    const [store] = await holding([order(1, 11)], [1]);
    await store.take(restored({ revoked: ['unit/u1'] }));
    const { asked: first, offers } = await store.asking(null, 1_000_000);
    expect(offers.map(dotOf)).toEqual(['c/0/1']);
    expect(shown(store)).toEqual(['d1']);
    await store.take(reply({ epoch: 'e2', revoked: ['unit/u1'] }), first);
    expect(shown(store)).toEqual([]);
    expect(await store.cursors()).toEqual({});
  });
});

describe('answers of two logs at once', () => {
  test('one for the log that is gone changes nothing', async () => {
    const [store] = await holding([order(1, 9)]);
    const before = await asked(store);
    const { hash } = (await store.save(saving('target.step', [step('a')])))!;
    await store.take(restored(), before);
    await store.take(reply({ epoch: 'e1', upto: 30, verdicts: [verdict(own(1), hash, 30)] }), before);
    expect(await store.read('identity', null)).toMatchObject({ epoch: 'e2' });
    expect(store.outbox.length).toBe(1);
  });

  test('a second one for the new log offers nothing twice', async () => {
    const [store] = await holding([order(1, 11)], [1]);
    const before = await asked(store);
    await store.take(restored(), before);
    await store.take(restored(), before);
    expect(store.standing.offers).toEqual(['c/0/1']);
    expect((await store.asking(null, 1_000_000)).offers.map(dotOf)).toEqual(['c/0/1']);
  });

  test('a second restore before the first was told everything keeps what is owed', async () => {
    const [store] = await holding([order(1, 11), order(2, 12)], [1]);
    await store.take(restored());
    await store.take(reply({ epoch: 'e3', fork: 11, upto: 11 }), await asked(store));
    expect(store.standing).toMatchObject({ offers: ['c/0/1'], unseen: ['directive/d2'] });
  });

  test('a row that was reported is reported again where a second restore lost the report, too', async () => {
    const [store] = await holding([order(2, 12)]);
    await store.take(restored());
    const { asked: first } = await store.asking(null, 1_000_000);
    await store.take(reply({ epoch: 'e2', upto: 13 }), first);
    expect(store.standing.unseen).toEqual([]);
    await store.take(reply({ epoch: 'e3', fork: 20, upto: 20 }), await asked(store));
    expect(store.standing.unseen).toEqual(['directive/d2']);
  });

  test('other tabs learn of the new log', async () => {
    const [store, disk] = await holding([order(1, 11)]);
    const other = await disk.store();
    await store.take(restored());
    await other.caughtUp();
    expect(other.standing.unseen).toEqual(['directive/d1']);
  });
});
