/** Pairs that begin anew, sums that must fit, snapshots in parts, and answers that come too late. */

import { describe, expect, test } from 'vitest';
import { MINUTE_MS, type Row, type Snapshot } from '../../src/core/contract.ts';
import type { Asked } from '../../src/store/take.ts';
import type { Store } from '../../src/store/store.ts';
import { Disk, T, databaseOf, page, proofOf, reply, row, sumOf } from './world.ts';

const PAIR: [string, number] = ['directory', 2];
const KEY = '2 directory';
const unit = (id: string, seq: number, name = id): Row => row('unit', id, seq, { name });
const asked = (seq: number): Asked => ({
  epoch: 'e1',
  cursors: { directory: { '2': seq } },
  offers: [],
  seen: [],
  gone: [],
});
const shown = (store: Store): string[] => store.memory.rows('unit').map((one) => `${one.id}=${one.fields.name}`);
const whole = (rows: Row[], seq: number, more: object = {}) =>
  reply({ pages: [page('directory', 2, seq, rows)], complete: { directory: [2] }, upto: seq, ...more });
const anew = { restart: [PAIR] };

async function holding(...rows: Row[]): Promise<[Store, Disk]> {
  const disk = new Disk();
  const store = await disk.store();
  await store.take(whole(rows, 9, { digests: { directory: { '2': sumOf(...rows) } } }));
  return [store, disk];
}

describe('a pair that begins anew', () => {
  test('holds exactly what came since, and is shown as before until it is complete', async () => {
    const [store, disk] = await holding(unit('a', 3), unit('b', 4), unit('c', 5));
    await store.take(reply({ ...anew, pages: [page('directory', 2, 4, [unit('b', 4)])], upto: 12 }));
    expect(shown(store)).toEqual(['a=a', 'b=b', 'c=c']);
    expect(await store.cursors()).toEqual({ directory: { '2': 4 } });
    const other = await disk.store();
    await other.take(
      whole([unit('d', 11)], 12, { digests: { directory: { '2': sumOf(unit('b', 4), unit('d', 11)) } } }),
    );
    expect(shown(other)).toEqual(['b=b', 'd=d']);
    expect(other.standing).toMatchObject({ restarting: [], bad: [] });
    expect(await databaseOf(other).rows.count()).toBe(2);
  });

  test('forgets what was staged for it before', async () => {
    const [store] = await holding();
    await store.take(reply({ pages: [page('directory', 2, 11, [unit('old', 11)])], upto: 20 }));
    await store.take(whole([unit('new', 12)], 20, anew));
    expect(shown(store)).toEqual(['new=new']);
  });

  test('lets go what a later page lets go', async () => {
    const [store] = await holding(unit('a', 3), unit('b', 4));
    await store.take(reply({ ...anew, pages: [page('directory', 2, 4, [unit('a', 3), unit('b', 4)])], upto: 12 }));
    await store.take(
      reply({ pages: [page('directory', 2, 12, [], [['unit', 'a']])], complete: { directory: [2] }, upto: 12 }),
    );
    expect(shown(store)).toEqual(['b=b']);
  });

  test('leaves rows to the other scopes that hold them', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(
      reply({
        pages: [page('centre', 2, 9, [unit('a', 3)])],
        complete: { centre: [2] },
        upto: 9,
        digests: { centre: { '2': sumOf(unit('a', 3)) } },
      }),
    );
    await store.take(whole([], 12, { ...anew, digests: { directory: { '2': '0' } } }));
    expect(shown(store)).toEqual(['a=a']);
    expect((await databaseOf(store).rows.get('unit/a'))!.scopes).toEqual(['centre']);
    expect(store.standing.bad).toEqual([]);
  });

  test('that turns out empty is empty', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(reply({ ...anew, complete: { directory: [2] }, upto: 12 }));
    expect(shown(store)).toEqual([]);
  });

  test('keeps the other lanes of its scope', async () => {
    const [store] = await holding(unit('a', 3));
    const order = row('directive', 'd1', 5, {});
    await store.take(reply({ pages: [page('directory', 0, 9, [order])], complete: { directory: [0] }, upto: 9 }));
    await store.take(whole([], 12, anew));
    expect(store.memory.rows('directive').map((one) => one.id)).toEqual(['d1']);
    expect(await store.cursors()).toEqual({ directory: { '0': 9, '2': 12 } });
  });
});

describe('an answer that comes too late', () => {
  test('does not begin anew what a later one has brought whole', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(whole([unit('a', 3), unit('b', 11)], 12, anew), asked(0));
    await store.take(whole([unit('a', 3)], 10, anew), asked(0));
    expect(shown(store)).toEqual(['a=a', 'b=b']);
    expect(await store.cursors()).toEqual({ directory: { '2': 12 } });
  });

  test('does not leave a hole in a pair that has begun anew since', async () => {
    const [store] = await holding(unit('a', 3), unit('b', 8));
    await store.take(reply({ ...anew, pages: [page('directory', 2, 4, [unit('a', 3)])], upto: 10 }), asked(9));
    await store.take(whole([unit('c', 11)], 12), asked(9));
    expect(shown(store)).toEqual(['a=a', 'b=b']);
    expect(await store.cursors()).toEqual({ directory: { '2': 4 } });
    await store.take(whole([unit('b', 8), unit('c', 11)], 12), asked(4));
    expect(shown(store)).toEqual(['a=a', 'b=b', 'c=c']);
  });

  test('is not held against what is newer here', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(whole([unit('a', 12, 'new')], 12), asked(9));
    await store.take(
      reply({ complete: { directory: [2] }, upto: 10, digests: { directory: { '2': 'bad' } } }),
      asked(9),
    );
    expect(store.standing.bad).toEqual([]);
  });
});

describe('sums', () => {
  const told = (sum: string, seq: number, now = T) =>
    reply({ complete: { directory: [2] }, upto: seq, digests: { directory: { '2': sum } }, now });

  test('are not compared while another pair holds what is newer than the answer', async () => {
    const [store] = await holding(unit('a', 3));
    const newer = [page('centre', 2, 12, [unit('a', 12, 'new')])];
    await store.take(reply({ pages: newer, complete: { centre: [2] }, upto: 12 }));
    await store.take(told(sumOf(unit('a', 3)), 10), asked(9));
    expect(store.standing.bad).toEqual([]);
    expect(await store.cursors()).toMatchObject({ directory: { '2': 10 } });
  });

  test('that fit leave the pair alone, through edits, removals and leaving rows', async () => {
    const [store] = await holding(unit('a', 3), unit('b', 4), unit('c', 5));
    const gone = { ...unit('b', 11), removed: true };
    const edited = unit('a', 12, 'new');
    await store.take(
      reply({
        pages: [page('directory', 2, 12, [gone, edited], [['unit', 'c']])],
        complete: { directory: [2] },
        upto: 12,
        digests: { directory: { '2': sumOf(edited) } },
      }),
    );
    expect(store.standing).toMatchObject({ bad: [], sums: { [KEY]: sumOf(edited) } });
  });

  test('that differ make the pair bad, and it is asked for anew until it begins anew', async () => {
    const [store, disk] = await holding(unit('a', 3));
    await store.take(told('abc', 12));
    expect((await store.asking(null, 4096)).bad).toEqual([PAIR]);
    expect((await store.asking([0], 4096)).bad).toEqual([]);
    expect((await (await disk.store()).asking([2], 4096)).bad).toEqual([PAIR]);
    await store.take(reply({ ...anew, pages: [page('directory', 2, 4, [])], upto: 20 }));
    expect((await store.asking(null, 4096)).bad).toEqual([]);
  });

  test('that differ still are not asked for again and again, and not forgotten either', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(told('abc', 12));
    await store.take(whole([unit('a', 3)], 13, { ...anew, digests: { directory: { '2': 'abc' } } }));
    expect(store.standing.bad).toEqual([]);
    await store.take(told('abc', 14, T + MINUTE_MS - 1));
    expect(store.standing.bad).toEqual([]);
    await store.take(told('abc', 15, T + MINUTE_MS));
    expect(store.standing.bad).toEqual([KEY]);
    await store.take(whole([unit('a', 3)], 16, { ...anew, digests: { directory: { '2': sumOf(unit('a', 3)) } } }));
    expect(store.standing).toMatchObject({ bad: [], repairs: {} });
  });

  test('of a centre that tells none are not compared', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(reply({ complete: { directory: [2] }, upto: 12 }));
    expect(store.standing.bad).toEqual([]);
  });

  test('leave out what only another centre can judge', async () => {
    const [store] = await holding();
    const provisional = { ...unit('p', 11), provisional: true };
    await store.take(whole([provisional], 12, { digests: { directory: { '2': '0' } } }));
    expect(shown(store)).toEqual(['p=p']);
    expect(store.standing.bad).toEqual([]);
  });

  test('a log that went back without a word is noticed by its end', async () => {
    const [store] = await holding(unit('a', 3));
    await store.take(reply({ complete: { directory: [2] }, upto: 5 }), asked(9));
    expect(store.standing.bad).toEqual([KEY]);
    await store.take(whole([], 5, anew), asked(9));
    expect(shown(store)).toEqual([]);
    expect(await store.cursors()).toEqual({ directory: { '2': 5 } });
  });
});

describe('looking through the disk', () => {
  const now = async (): Promise<void> => undefined;

  test('finds nothing where nothing is wrong', async () => {
    const [store] = await holding(unit('a', 3), unit('b', 4));
    expect(await store.recheck(now)).toBe(false);
    expect(store.standing.bad).toEqual([]);
  });

  test('finds a row whose bytes were changed, and a row that is gone', async () => {
    for (const spoil of [
      (store: Store) => databaseOf(store).rows.update('unit/a', { 'body.fields.name': 'x' } as never),
      (store: Store) => databaseOf(store).rows.update('unit/a', { body: null as never }),
      (store: Store) => databaseOf(store).rows.delete('unit/a'),
    ]) {
      const [store] = await holding(unit('a', 3), unit('b', 4));
      await spoil(store);
      expect(await store.recheck(now)).toBe(true);
      expect((await store.asking(null, 4096)).bad).toEqual([PAIR]);
    }
  });

  test('what it finds is not forgotten because the sums fit', async () => {
    const [store] = await holding(unit('a', 3));
    await databaseOf(store).rows.update('unit/a', { 'body.fields.name': 'x' } as never);
    await store.recheck(now);
    await store.take(
      reply({ complete: { directory: [2] }, upto: 12, digests: { directory: { '2': sumOf(unit('a', 3)) } } }),
    );
    expect(store.standing.bad).toEqual([KEY]);
  });

  test('goes round: each time another pair', async () => {
    const [store] = await holding(unit('a', 3));
    const order = row('directive', 'd1', 5, {});
    await store.take(reply({ pages: [page('directory', 0, 9, [order])], complete: { directory: [0] }, upto: 9 }));
    await databaseOf(store).rows.delete('unit/a');
    const found = [await store.recheck(now), await store.recheck(now), await store.recheck(now)];
    expect(found).toEqual([false, true, false]);
  });

  test('leaves a pair alone that begins anew: what it holds is about to go', async () => {
    const [store] = await holding(unit('a', 3));
    await databaseOf(store).rows.update('unit/a', { body: null as never });
    await store.take(reply({ restart: [PAIR] as never, upto: 12 }));
    expect(await store.recheck(now)).toBe(false);
    expect(store.standing).toMatchObject({ bad: [], restarting: [KEY] });
  });

  test('does not take for damage what an answer changed meanwhile', async () => {
    const rows = Array.from({ length: 250 }, (_, i) => unit(`u${i}`, 3));
    const [store] = await holding(...rows);
    const meanwhile = async (): Promise<void> => void (await store.take(whole([unit('new', 11)], 12)));
    expect(await store.recheck(meanwhile)).toBe(false);
  });

  test('a row that cannot be read is not shown, keeps nothing from opening, and is asked for anew', async () => {
    const [store, disk] = await holding(unit('a', 3), unit('b', 4));
    await databaseOf(store).rows.update('unit/a', { body: 'rubbish' as never });
    const again = await disk.store();
    expect(shown(again)).toEqual(['b=b']);
    expect((await again.asking(null, 4096)).bad).toEqual([PAIR]);
    await again.take(
      whole([unit('a', 3), unit('b', 4)], 12, {
        ...anew,
        digests: { directory: { '2': sumOf(unit('a', 3), unit('b', 4)) } },
      }),
    );
    expect(shown(again)).toEqual(['a=a', 'b=b']);
    expect(again.standing.bad).toEqual([]);
  });
});

describe('a snapshot', () => {
  const [ONE, TWO] = ['1'.repeat(64), '2'.repeat(64)];
  const snapshot: Snapshot = {
    scope: 'directory',
    lane: 2,
    seq: 10,
    parts: [
      { sha256: ONE, size: 1 },
      { sha256: TWO, size: 1 },
    ],
  };
  const part = (...rows: Row[]) => ({ scope: 'directory', lane: 2, rows, proofs: [] });
  const offer = reply({ ...anew, snapshots: [snapshot], upto: 12 });

  test('is seen once all parts are here and the pair is complete', async () => {
    const [store] = await holding(unit('z', 1));
    await store.take(offer);
    await store.stagePart(part(unit('a', 3)), ONE);
    expect(await store.closeSnapshot(snapshot)).toBe(false);
    expect(await store.cursors()).toEqual({ directory: {} });
    await store.stagePart(part(unit('b', 4)), TWO);
    await store.stagePart(part(unit('b', 4)), TWO);
    expect(await store.closeSnapshot(snapshot)).toBe(true);
    expect(await store.cursors()).toEqual({ directory: { '2': 10 } });
    expect(shown(store)).toEqual(['z=z']);
    const rows = [unit('a', 3), unit('b', 4), unit('c', 11)];
    await store.take(whole([rows[2]!], 12, { digests: { directory: { '2': sumOf(...rows) } } }));
    expect(shown(store)).toEqual(['a=a', 'b=b', 'c=c']);
    expect(store.standing.bad).toEqual([]);
  });

  test('goes on with the parts that came before the app was ended', async () => {
    const [store, disk] = await holding();
    await store.take(offer);
    await store.stagePart(part(unit('a', 3)), ONE);
    const again = await disk.store();
    await again.take(offer);
    expect([...(await again.partsHere(snapshot))]).toEqual([ONE]);
    const other = { ...snapshot, parts: [{ sha256: TWO, size: 1 }] };
    await again.take(reply({ ...anew, snapshots: [other], upto: 12 }));
    expect([...(await again.partsHere(other))]).toEqual([]);
  });

  test('leaves out a part that came too late and is offered no more', async () => {
    const [store] = await holding();
    const newer = { ...snapshot, seq: 11, parts: [{ sha256: TWO, size: 1 }] };
    await store.take(offer);
    await store.take(reply({ ...anew, snapshots: [newer], upto: 12 }));
    await store.stagePart(part(unit('a', 3)), ONE);
    await store.stagePart(part(unit('b', 4)), TWO);
    expect(await store.closeSnapshot(newer)).toBe(true);
    await store.take(whole([], 12, { digests: { directory: { '2': sumOf(unit('b', 4)) } } }));
    expect(shown(store)).toEqual(['b=b']);
    expect(store.standing.bad).toEqual([]);
  });

  test('keeps a proof until its own mutation is durable, however old the snapshot is', async () => {
    const [store] = await holding();
    const order = { ...row('directive', 'd1', 12, { urgency: 'routine' }), dot: 'c/0/1' };
    const one = { ...snapshot, scope: 'unit/u1', lane: 0, parts: [{ sha256: ONE, size: 1 }] };
    const restart: [string, number][] = [['unit/u1', 0]];
    await store.take(reply({ gained: ['unit/u1'], restart, snapshots: [one], upto: 12 }));
    await store.stagePart({ scope: 'unit/u1', lane: 0, rows: [order], proofs: [proofOf(1, order)] }, ONE);
    expect(await store.closeSnapshot(one)).toBe(true);
    await store.take(reply({ complete: { 'unit/u1': [0] }, upto: 12, durable: 11 }));
    const proofs = databaseOf(store).proofs;
    expect((await proofs.toArray()).map(({ seq }) => seq)).toEqual([12]);
  });

  test('of a pair that is no longer waiting for it is let be', async () => {
    const [store] = await holding();
    await store.take(offer);
    await store.take(whole([unit('n', 11)], 12, anew));
    await store.stagePart(part(unit('a', 3)), ONE);
    expect(await store.closeSnapshot(snapshot)).toBe(false);
    expect(await databaseOf(store).staged.count()).toBe(0);
    expect(await store.cursors()).toEqual({ directory: { '2': 12 } });
  });
});
