/** The device and its centre after something went wrong between them: damage, restores, long absence, wrong clocks. */

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { IDBObjectStore } from 'fake-indexeddb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PROTOCOL_VERSION, type Row, type Snapshot, type Value } from '../../src/core/contract.ts';
import type { Device } from '../../src/net/device.ts';
import { POLL_MS } from '../../src/net/sync.ts';
import { STALL_MS_MAX, WATCH_MS } from '../../src/net/watchdog.ts';
import { RECHECK_MS } from '../../src/net/work.ts';
import { REPLICA, T, databaseOf, page, proofOf, reply, row, step, sumOf } from '../store/world.ts';
import { Centre, World, enrolled, json, problem, until, type Asked, type SyncAsked } from './world.ts';

afterEach(() => void vi.restoreAllMocks());

const unit = (id: string, seq: number): Row => row('unit', id, seq, { name: id });
const settled = (device: Device) => until(() => expect(device.status.syncing).toBe(false));
const units = (device: Device): string[] => device.rows('unit').map((one) => one.id);
const last = (centre: Centre): SyncAsked => centre.syncs[centre.syncs.length - 1]!;

async function synced(device: Device, centre: Centre): Promise<void> {
  const before = centre.syncs.length;
  device.syncNow();
  await until(() => expect(centre.syncs.length).toBeGreaterThan(before));
  await settled(device);
}

describe('a pair that differs', () => {
  test('is asked for anew in the next request, told of meanwhile, and well again', async () => {
    const [device, centre] = await enrolled();
    let answers = 0;
    centre.next = ({ bad, lanes }) => {
      if (lanes) return {};
      answers++;
      const pages = [page('directory', 2, 11, bad.length ? [unit('a', 9), unit('b', 10)] : [])];
      return { pages, upto: 11, restart: bad, digests: { directory: { '2': sumOf(unit('a', 9), unit('b', 10)) } } };
    };
    const seen: number[] = [];
    device.subscribe(() => seen.push(device.status.repairs));
    device.syncNow();
    await until(() => expect(units(device)).toEqual(['a', 'b']));
    await settled(device);
    expect(last(centre).bad).toEqual([['directory', 2]]);
    expect([answers, device.status.repairs]).toEqual([2, 0]);
    expect(seen).toContain(1);
  });

  test('that differs still does not make the device ask on and on', async () => {
    const [device, centre] = await enrolled();
    centre.next = ({ bad }) => ({ upto: 11, restart: bad, digests: { directory: { '2': 'abc' } } });
    const before = centre.syncs.length;
    await synced(device, centre);
    expect(centre.syncs.length - before).toBe(2);
    expect(device.status.repairs).toBe(1);
  });

  test('on the disk is found when nothing else is to do', async () => {
    const [device, centre, world] = await enrolled();
    centre.next = () => ({ pages: [page('directory', 2, 11, [unit('a', 11)])], upto: 11 });
    await synced(device, centre);
    centre.next = ({ bad }) => ({
      upto: 11,
      restart: bad,
      pages: bad.length ? [page('directory', 2, 11, [unit('a', 11)])] : [],
    });
    const store = await world.disk.store();
    await databaseOf(store).rows.update('unit/a', { 'body.fields.name': 'x' } as never);
    world.isVisible = false;
    world.time.pass(RECHECK_MS);
    await until(() => expect(last(centre).bad).toEqual([['directory', 2]]));
    await settled(device);
    expect((await databaseOf(store).rows.get('unit/a'))!.body.fields.name).toBe('a');
  });
});

describe('a first answer in snapshots', () => {
  const rows = [unit('a', 3), unit('b', 4)];
  const file = (...some: Row[]) => ({ scope: 'directory', lane: 2, rows: some, proofs: [] });
  const packed = (value: unknown): Buffer => gzipSync(JSON.stringify(value));
  const named = (bytes: Buffer) => ({ sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length });

  /** A centre that gives the directory in these parts, and pages above seq 9. */
  async function serving(parts: Buffer[], serve: (asked: Asked) => Response | null = () => null, world = new World()) {
    const centre = new Centre(world);
    const snapshot: Snapshot = { scope: 'directory', lane: 2, seq: 9, parts: parts.map(named) };
    const got: Asked[] = [];
    world.answer = (asked) => {
      if (!asked.path.startsWith('/v1/snap/')) return centre.answer(asked);
      got.push(asked);
      const found = parts.find((one) => asked.path.endsWith(named(one).sha256));
      return serve(asked) ?? (found ? new Response(new Uint8Array(found)) : problem(404, 'not_found'));
    };
    centre.next = ({ cursors, lanes }) => {
      if (cursors.directory?.['2'] || (lanes && !lanes.includes(2)))
        return { digests: { directory: { '2': sumOf(...rows) } } };
      return {
        restart: [['directory', 2]],
        snapshots: [snapshot],
        complete: { directory: [0, 1, 3, 4], 'unit/u1': [0, 1, 2, 3, 4] },
      };
    };
    const device = await world.open();
    await device.enrol('1', 'x');
    return { device, centre, world, got, snapshot };
  }

  test('holds them all once it is complete, each part asked for once, as this device', async () => {
    const { device, got } = await serving(rows.map((one) => packed(file(one))));
    await until(() => expect(units(device)).toEqual(['a', 'b']));
    await settled(device);
    expect(device.status).toMatchObject({ behind: false, repairs: 0, problem: null });
    expect(got.length).toBe(2);
    expect(got[0]!.headers).toMatchObject({ Authorization: 'Bearer secret-token', Accept: 'application/gzip' });
  });

  test('that was replaced meanwhile is asked for again', async () => {
    let gone = 1;
    const { device, got } = await serving([packed(file(...rows))], () =>
      gone-- > 0 ? problem(404, 'not_found') : null,
    );
    await until(() => expect(units(device)).toEqual(['a', 'b']));
    expect(got.length).toBe(2);
  });

  test('of which a part is replaced each time is asked for again with the next poll, and nobody is offline', async () => {
    let gone = true;
    const told: unknown[] = [];
    const { device, got, world } = await serving([packed(file(...rows))], () =>
      gone ? problem(404, 'not_found') : null,
    );
    device.subscribe(() => told.push(device.status.problem, device.status.online));
    await until(() => expect([got.length, device.status.syncing]).toEqual([4, false]));
    expect(device.status).toMatchObject({ problem: null, online: true, behind: true });
    gone = false;
    world.time.pass(POLL_MS);
    await until(() => expect(units(device)).toEqual(['a', 'b']));
    expect(got.length).toBe(5);
    expect(new Set(told)).toEqual(new Set([null, true]));
  });

  test('of which one part is replaced each time gets on with the others, and keeps them', async () => {
    const [a, b] = rows.map((one) => packed(file(one))) as [Buffer, Buffer];
    const { device, got, snapshot } = await serving([a, b]);
    const newer = named(packed(file(rows[0]!, row('unit', 'c', 2, {}))));
    snapshot.parts = [newer, named(b)];
    const asked = (part: { sha256: string }): number => got.filter(({ path }) => path.endsWith(part.sha256)).length;
    await until(() => expect(asked(newer)).toBe(4));
    await settled(device);
    expect([asked(named(b)), units(device).length]).toEqual([1, 0]);
    snapshot.parts = [named(a), named(b)];
    device.syncNow();
    await until(() => expect(units(device)).toEqual(['a', 'b']));
    expect(asked(named(b))).toBe(1);
    expect(device.status.repairs).toBe(0);
  });

  test.each([
    ['other bytes', new Response('x')],
    ['the bytes of another part', new Response(new Uint8Array(packed(file(unit('z', 9)))))],
    ['bytes that end early', new Response(new Uint8Array(packed(file(...rows)).subarray(0, 40)))],
  ])('with %s is not taken', async (_name, answer) => {
    const { device } = await serving([packed(file(...rows))], () => answer);
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'offline' }));
    expect(units(device)).toEqual([]);
  });

  test('of another pair is not taken', async () => {
    const { device } = await serving([packed({ ...file(...rows), lane: 1 })]);
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'offline' }));
    expect(units(device)).toEqual([]);
  });

  test('goes on after a break with the parts that are missing', async () => {
    let broken = true;
    const parts = rows.map((one) => packed(file(one)));
    const breaks = ({ path }: Asked) => (broken && path.endsWith(named(parts[1]!).sha256) ? json({}, 502) : null);
    const { device, world, got } = await serving(parts, breaks);
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'internal' }));
    broken = false;
    world.happen('online');
    await until(() => expect(units(device)).toEqual(['a', 'b']));
    expect(got.map(({ path }) => path.slice(-64))).toEqual([...parts, parts[1]!].map((one) => named(one).sha256));
  });

  test('comes unpacked to a browser that cannot unpack it', async () => {
    const world = new World();
    world.ports = ((real) => () => ({ ...real(), gunzip: null }))(world.ports.bind(world));
    const plain = (asked: Asked) => (asked.headers.Accept === 'application/json' ? json(file(...rows)) : null);
    const { device } = await serving([packed(file(...rows))], plain, world);
    await until(() => expect(units(device)).toEqual(['a', 'b']));
  });
});

describe('a centre that was restored', () => {
  const order = { ...row('directive', 'd1', 12, { urgency: 'routine' }), dot: 'c/0/1' };
  const alone = { ...row('directive', 'd2', 13, { urgency: 'routine' }), dot: 'c/0/2' };

  test('is given own words, signed orders and what nobody can bring back, and then told anew', async () => {
    const [device, centre] = await enrolled();
    const told = { pages: [page('unit/u1', 0, 13, [order, alone], [], [proofOf(1, order)])], upto: 13 };
    centre.next = () => told;
    await synced(device, centre);
    await device.write('target.step', [step('a')]);
    await until(() => expect(device.status.waiting).toBe(0));
    await settled(device);
    expect(device.status.restored).toBeNull();

    const counts: Value[] = [];
    device.subscribe(() => counts.push(device.status.restored));
    centre.log = [];
    const first = centre.syncs.length;
    centre.next = ({ epoch, cursors, offers }) => {
      const anew = Object.keys(cursors['unit/u1'] ?? {}).length ? [] : ([['unit/u1', 0]] as [string, number][]);
      const verdicts = offers.map(({ replica, lane, n }) => ({ ...settledOf(`${replica}/${lane}/${n}`), hash: 'h' }));
      return epoch === 'e2' ? { epoch: 'e2', restart: anew, verdicts } : { epoch: 'e2', fork: 10 };
    };
    await synced(device, centre);
    await until(() =>
      expect(device.status).toMatchObject({ syncing: false, restored: null, waiting: 0, problem: null }),
    );
    const after = centre.syncs.slice(first);
    expect(after[0]!.epoch).toBe('e1');
    expect(after[1]).toMatchObject({ epoch: 'e2', cursors: { 'unit/u1': {}, directory: {} } });
    expect(after[1]!.offers.map(({ n }) => n)).toEqual([1]);
    expect(after[1]!.seen.map(({ id, seq }) => [id, seq])).toEqual([['d2', 13]]);
    expect(after[1]!.runs.flatMap(({ mutations }) => mutations.map(({ n }) => n))).toEqual([1]);
    expect(device.rows('directive')).toEqual([]);
    expect(counts).toContainEqual({ own: 1, orders: 1, rows: 1 });
    expect(device.identity?.epoch).toBe('e2');
  });

  test('judges nothing before the device knows its log, and own words go after all that they may build on', async () => {
    const [device, centre, world] = await enrolled();
    const orders = Array.from({ length: 60 }, (_, i) => ({ ...order, id: `d${i}`, dot: `c/0/${i + 1}` }));
    const proofs = orders.map((one, i) => proofOf(i + 1, one));
    centre.next = () => ({ pages: [page('unit/u1', 0, 13, orders, [], proofs)], upto: 13 });
    await synced(device, centre);
    world.reachable = false;
    await device.write('target.step', [step('a')]);
    await settled(device);
    const asked: { epoch: string; offers: number; words: number; lanes: number[] | null }[] = [];
    centre.next = ({ epoch, offers }) => {
      const told = offers.map(({ replica, lane, n }) => ({ ...settledOf(`${replica}/${lane}/${n}`), hash: 'h' }));
      return epoch === 'e2' ? { epoch: 'e2', verdicts: told } : {};
    };
    world.answer = async (given) => {
      if (given.path !== '/v1/sync') return centre.answer(given);
      const { epoch, offers, runs, lanes } = JSON.parse(given.body);
      asked.push({ epoch, offers: offers.length, words: runs.length, lanes });
      return epoch === 'e2' ? centre.answer(given) : json(reply({ epoch: 'e2', fork: 10, upto: 10 }));
    };
    world.reachable = true;
    world.happen('online');
    await until(() => expect(device.status).toMatchObject({ syncing: false, restored: null, waiting: 0 }));
    const whole = asked.filter(({ lanes }) => lanes === null).map(({ epoch, offers, words }) => [epoch, offers, words]);
    expect(whole).toEqual([
      ['e1', 0, 1],
      ['e2', 50, 0],
      ['e2', 10, 1],
    ]);
    expect(asked.filter(({ lanes, words }) => lanes !== null && words > 0)).toEqual([]);
  });

  test('hears of all that nobody can bring back before it tells anew, and this device is behind till then', async () => {
    const [device, centre, world] = await enrolled();
    const other = await world.open();
    const orders = Array.from({ length: 60 }, (_, i) => ({ ...alone, id: `d${i}` }));
    centre.next = () => ({ pages: [page('unit/u1', 0, 13, orders)], upto: 13 });
    await synced(device, centre);
    const behind: boolean[] = [];
    device.subscribe(() => behind.push(device.status.behind));
    const first = centre.syncs.length;
    centre.next = ({ epoch, cursors }) => {
      const anew = Object.keys(cursors['unit/u1'] ?? {}).length ? [] : ([['unit/u1', 0]] as [string, number][]);
      return epoch === 'e2' ? { epoch: 'e2', restart: anew } : { epoch: 'e2', fork: 10 };
    };
    await synced(device, centre);
    await until(() => expect(device.status).toMatchObject({ syncing: false, restored: null, behind: false }));
    expect(centre.syncs.slice(first).map(({ seen }) => seen.length)).toEqual(expect.arrayContaining([50, 10]));
    expect(behind).toContain(true);
    expect(device.rows('directive')).toEqual([]);
    await until(() => expect(other.identity?.epoch).toBe('e2'));
  });

  const settledOf = (dot: string) => ({
    dot,
    verdict: 'applied',
    seq: 11,
    code: null,
    detail: null,
    repeat: false,
    tags: ['reoffered'],
  });
});

describe('the centre’s remarks', () => {
  test('on own words are told beside the ticks, and after the rows are back', async () => {
    const [device, centre] = await enrolled();
    centre.verdictOf = () => ({ tags: ['before_cut', 'a_later_one'] });
    await device.write('target.step', [step('a')]);
    await until(() => expect(device.status.waiting).toBe(0));
    await settled(device);
    expect(device.receiptOf('step/a')).toMatchObject({ arrived: T, tags: ['before_cut'] });
    expect(device.receiptOf('step/b').tags).toEqual([]);
  });

  test('on refused words are told with the reason', async () => {
    const [device, centre] = await enrolled();
    centre.verdictOf = () => ({ verdict: 'quarantined', code: 'role_cut', tags: ['clock_ahead'] });
    await device.write('target.step', [step('a')]);
    await until(() => expect(device.refused()).toMatchObject([{ code: 'role_cut', tags: ['clock_ahead'] }]));
  });

  test('that the clock is ahead set it, however slow the answer was', async () => {
    const [device, centre, world] = await enrolled();
    const store = await world.disk.store();
    await store.write({ offset: 9_000_000 });
    device.close();
    const again = await world.open();
    expect(again.now()).toBe(world.time.nowMs + 9_000_000);
    centre.next = () => {
      const now = world.time.nowMs;
      world.time.pass(8_000);
      return { now };
    };
    centre.verdictOf = () => ({ tags: ['clock_ahead'] });
    await again.write('target.step', [step('a')]);
    await until(() => expect(Math.abs(again.now() - world.time.nowMs)).toBeLessThan(10_000));
    await until(() => expect(again.status.waiting).toBe(0));
    await again.write('target.step', [step('b')]);
    const [before, after] = [centre.pushed[0]!, again.outbox()[0]?.mutation ?? centre.pushed[1]!];
    expect(after.stamp < before.stamp).toBe(true);
  });

  test('that a newer app is wanted are heeded, and lose nothing', async () => {
    const [device, centre] = await enrolled();
    centre.next = () => ({ min_client: PROTOCOL_VERSION });
    await synced(device, centre);
    expect(device.status.updateNeeded).toBe(false);
    centre.next = () => ({ min_client: PROTOCOL_VERSION + 1 });
    await device.write('target.step', [step('a')]);
    await until(() => expect(device.status).toMatchObject({ updateNeeded: true, waiting: 0 }));
  });
});

test('a centre of the first protocol leaves out what it does not know', async () => {
  const [device, centre, world] = await enrolled();
  const NEW = ['snapshots', 'restart', 'digests', 'fork', 'min_client', 'durable'];
  world.answer = async (asked) => {
    const told = (await (await centre.answer(asked)).json()) as Record<string, Value>;
    for (const name of NEW) delete told[name];
    for (const one of [...(told.verdicts ?? []), ...(told.pages ?? [])])
      for (const name of ['tags', 'proofs']) delete one[name];
    for (const one of told.pages?.flatMap((each: Value) => each.rows) ?? [])
      for (const name of ['home', 'provisional']) delete one[name];
    return json(told);
  };
  centre.next = () => ({ pages: [page('directory', 2, 11, [unit('a', 11)])], upto: 11 });
  await device.write('target.step', [step('a')]);
  await until(() =>
    expect(device.status).toMatchObject({ syncing: false, waiting: 0, problem: null, behind: false, repairs: 0 }),
  );
  expect(units(device)).toEqual(['a']);
  expect(device.row('unit', 'a')).toMatchObject({ home: '', provisional: false });
});

describe('an open line', () => {
  const greet = (world: World): void => {
    const socket = world.sockets[world.sockets.length - 1]!;
    socket.onopen?.();
    socket.say({ hello: { scopes: {} } });
  };
  /** Time passes, and the line answers every ping. */
  function pass(world: World, ms: number): void {
    for (let left = ms; left > 0; left -= WATCH_MS) {
      world.sockets[world.sockets.length - 1]!.say('pong');
      world.time.pass(Math.min(left, WATCH_MS));
    }
  }

  test('that settles nothing is dropped and taken up anew', async () => {
    const [device, centre, world] = await enrolled();
    greet(world);
    await settled(device);
    world.answer = async (asked) => json({ ...((await (await centre.answer(asked)).json()) as object), verdicts: [] });
    await device.write('target.step', [step('a')]);
    await until(() => expect(centre.pushed.length).toBeGreaterThan(0));
    await settled(device);
    const line = world.sockets[world.sockets.length - 1]!;
    pass(world, STALL_MS_MAX - WATCH_MS);
    expect(line.closed).toBe(false);
    world.answer = (asked) => centre.answer(asked);
    pass(world, 3 * WATCH_MS);
    expect(line.closed).toBe(true);
    await until(() => expect(device.status.waiting).toBe(0));
  });

  test('with nothing to settle is left alone', async () => {
    const [device, , world] = await enrolled();
    greet(world);
    await settled(device);
    world.isVisible = false;
    const line = world.sockets[world.sockets.length - 1]!;
    pass(world, 4 * STALL_MS_MAX);
    expect(line.closed).toBe(false);
  });

  test('tells of urgent rows, which do not wait for a bulky answer under way', async () => {
    const [device, centre, world] = await enrolled();
    greet(world);
    await settled(device);
    let release: (part: object) => void = () => undefined;
    centre.next = ({ lanes }) =>
      lanes
        ? { pages: [page('unit/u1', 0, 11, [row('directive', 'd1', 11, {})])], upto: 11 }
        : new Promise((resolve) => (release = resolve));
    const before = centre.syncs.length;
    device.syncNow();
    await until(() => expect(centre.syncs.length).toBe(before + 1));
    world.sockets[world.sockets.length - 1]!.say({ scope: 'unit/u1', lane: 0, seq: 11, prev: 10 });
    await until(() => expect(device.rows('directive').length).toBe(1));
    expect(last(centre).lanes).toEqual([0]);
    centre.next = () => ({});
    release({});
    await settled(device);
  });
});

describe('words that the disk has spoilt', () => {
  test('are shown, are in the file, and leave when they are dismissed; the centre learns of the loss', async () => {
    const [device, centre, world] = await enrolled();
    world.reachable = false;
    await device.write('target.step', [step('a', { note: '雨大' })]);
    const store = await world.disk.store();
    const { raw, hash } = (await databaseOf(store).outbox.get([0, 1]))!;
    await databaseOf(store).outbox.update([0, 1], { raw: raw.slice(0, 300) });
    device.close();
    const again = await world.open();
    expect(again.status).toMatchObject({ damaged: 1, waiting: 1 });
    expect(again.damaged()).toMatchObject([
      { dot: `${REPLICA}/0/1`, lane: 0, text: raw.slice(0, 300), at: T, found: T, refused: false },
    ]);
    const exported = JSON.parse(await (await again.exportUnsent()).text());
    expect(exported.damaged).toMatchObject([{ lane: 0, n: 1, record: { raw: raw.slice(0, 300), hash } }]);
    world.reachable = true;
    world.happen('online');
    await until(() => expect(again.status.waiting).toBe(0));
    expect(centre.pushed.map(({ intent, changes }) => [intent, changes[0]!.fields.lost])).toEqual([
      ['lane.void', hash],
    ]);
    await again.dismissDamaged(again.damaged()[0]!.id);
    expect([again.damaged(), again.status.damaged]).toEqual([[], 0]);
  });

  test('while the app is open are sent from memory as they were written', async () => {
    const [device, centre, world] = await enrolled();
    world.reachable = false;
    await device.write('target.step', [step('a')]);
    await settled(device);
    await databaseOf(await world.disk.store()).outbox.update([0, 1], { raw: '{' });
    world.reachable = true;
    world.happen('online');
    await until(() => expect(device.status.waiting).toBe(0));
    expect(centre.pushed.map(({ intent }) => intent)).toEqual(['target.step']);
  });
});

test('a photo that finds no room on the disk is shown all the same', async () => {
  const [device, centre, world] = await enrolled();
  const bytes = Buffer.from('photo');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  world.answer = (asked) => (asked.path.startsWith('/v1/blob') ? new Response(bytes) : centre.answer(asked));
  const real = IDBObjectStore.prototype.add;
  vi.spyOn(IDBObjectStore.prototype, 'add').mockImplementation(function (this: IDBObjectStore, ...given) {
    if (this.name === 'blobs') throw new DOMException('full', 'QuotaExceededError');
    return real.apply(this, given);
  });
  expect(await (await device.photo(sha256))!.text()).toBe('photo');
  expect(await (await world.disk.store()).blobs.get(sha256)).toBeUndefined();
});
