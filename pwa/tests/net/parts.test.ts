/** The small parts: waiting, rates, bodies, errors, clocks. */

import { IDBObjectStore } from 'fake-indexeddb';
import { describe, expect, test } from 'vitest';
import { PROTOCOL_VERSION } from '../../src/core/contract.ts';
import { Api, ProblemError, REQUEST_MS_MAX, Unreachable } from '../../src/net/api.ts';
import { BACKOFF_MS_MAX, backoffMs } from '../../src/net/backoff.ts';
import { base64url } from '../../src/net/base64.ts';
import { CorrectedClock, ROUND_TRIP_MS_MAX } from '../../src/net/clock.ts';
import { Rate } from '../../src/net/rate.ts';
import { fitting, isWhole, syncBody } from '../../src/net/request.ts';
import { savedFrom } from '../../src/core/replica.ts';
import { troubleOf } from '../../src/net/trouble.ts';
import { Disk, page, reply, row, saving, step } from '../store/world.ts';
import { Time, World, enrolReply, enrolled, json, problem, until } from './world.ts';

test('waiting doubles up to a minute, spread over its second half', () => {
  expect([0, 1, 2].map((n) => backoffMs(n, 0))).toEqual([500, 1_000, 2_000]);
  expect(backoffMs(50, 0.999)).toBeLessThanOrEqual(BACKOFF_MS_MAX);
  expect(backoffMs(50, 0)).toBe(BACKOFF_MS_MAX / 2);
});

test('a rate follows what was measured and stays within its bounds', () => {
  const rate = new Rate(100);
  expect(rate.bytes(1, 1e9)).toBe(200_000);
  rate.measured(1_000_000, 2_000);
  expect(rate.bytes(1, 1e9)).toBe(600_000);
  rate.measured(10, 5_000);
  expect(rate.bytes(1, 1e9)).toBe(600_000);
  rate.failed();
  expect(rate.bytes(1, 1e9)).toBe(300_000);
  expect(rate.bytes(1, 1_000)).toBe(1_000);
});

test('bytes become text without padding', () => {
  expect(base64url(Uint8Array.of(0xfb, 0xff, 0xfe, 1))).toBe('-__-AQ');
});

describe('the clock', () => {
  test('takes the middle of the round trip', () => {
    const time = new Time();
    const clock = new CorrectedClock({ now: () => time.nowMs }, 0);
    const sent = time.nowMs;
    time.pass(200);
    expect(clock.measure(sent, sent + 5_100)).toBe(true);
    expect(clock.offsetMs).toBe(5_000);
    expect(clock.now()).toBe(time.nowMs + 5_000);
  });

  test('learns nothing from a slow answer or from a device clock that jumped', () => {
    const time = new Time();
    const clock = new CorrectedClock({ now: () => time.nowMs }, 7);
    const sent = time.nowMs;
    time.pass(ROUND_TRIP_MS_MAX + 1);
    expect(clock.measure(sent, 0)).toBe(false);
    expect(clock.measure(time.nowMs + 1, 0)).toBe(false);
    expect(clock.measure(time.nowMs, Number.NaN)).toBe(false);
    expect(clock.offsetMs).toBe(7);
  });
});

describe('a request', () => {
  const api = (answer: () => Promise<Response>, time = new Time()): Api =>
    new Api({ now: () => time.nowMs, later: time.later, fetch: answer });

  test('that is refused has the code', async () => {
    const asked = api(async () => problem(403, 'revoked')).json({ method: 'GET', path: '/x' });
    await expect(asked).rejects.toMatchObject({ code: 'revoked', status: 403 });
  });

  test('that a proxy answers in its own words is a problem without a known code', async () => {
    const asked = api(async () => new Response('<h1>502</h1>', { status: 502 })).json({ method: 'GET', path: '/x' });
    await expect(asked).rejects.toBeInstanceOf(ProblemError);
    await expect(
      api(async () => json({ code: 'toString' }, 500)).json({ method: 'GET', path: '/x' }),
    ).rejects.toMatchObject({
      code: 'internal',
    });
  });

  test('that nobody answers ends in time', async () => {
    const time = new Time();
    const hanging = new Api({
      now: () => time.nowMs,
      later: time.later,
      fetch: (_path, { signal }) =>
        new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(new Error('aborted')))),
    });
    const asked = hanging.json({ method: 'GET', path: '/x' });
    time.pass(REQUEST_MS_MAX);
    await expect(asked).rejects.toBeInstanceOf(Unreachable);
  });

  test('that a login page answers is no answer', async () => {
    const asked = api(async () => new Response('<h1>welcome</h1>')).json({ method: 'GET', path: '/x' });
    await expect(asked).rejects.toBeInstanceOf(Unreachable);
  });
});

describe('the body of a sync', () => {
  const parts = {
    identity: { centre: 'c1', replica: 'r1' },
    asking: {
      asked: { epoch: 'e1', cursors: { directory: { '2': 4 } }, offers: [], seen: [], gone: [] },
      bad: [['directory', 2] as [string, number]],
      offers: [],
      seen: [],
      wordsWait: false,
    },
    waiting: { count: 2, oldest: 5 },
    lanes: null,
    maxBytes: 100,
    clock: 1,
    app: 'test',
  };

  test('holds the exact bytes of each mutation, urgent lanes first', async () => {
    const store = await new Disk().store();
    const fields = {
      target: 't',
      directive: 'd',
      unit: 'u',
      round: 1,
      at: 1_760_000_000_000,
      kind: 'progress',
      text: '𠮷',
    };
    const later = await store.save(saving('feedback.add', [{ op: 'create', entity: 'feedback', id: 'f', fields }]));
    const urgent = await store.save(saving('target.step', [step('a')]));
    const body = await syncBody(
      { ...parts, sending: [later!, urgent!] },
      async (text) => `sig of ${text.split('\n')[3]}`,
    );
    expect(body).toContain(`"mutations":[${later!.raw}]`);
    const { runs, outbox, ...head } = JSON.parse(body);
    expect(runs.map((run: { lane: number; sig: string }) => [run.lane, run.sig])).toEqual([
      [0, 'sig of 0'],
      [1, 'sig of 1'],
    ]);
    expect(outbox.count).toBe(2);
    expect(head).toMatchObject({
      centre: 'c1',
      epoch: 'e1',
      protocol: PROTOCOL_VERSION,
      cursors: { directory: { '2': 4 } },
    });
    expect(head).toMatchObject({ bad: [['directory', 2]], offers: [], seen: [] });
  });

  test('takes what fits, in order, and at least one', () => {
    const one = (n: number, size: number) => ({ ...savedFrom('{}'), lane: 0, n, raw: 'x'.repeat(size) });
    const saved = [one(3, 10), one(1, 10), one(2, 1_000), one(4, 1)];
    expect(fitting(saved, 3_100).map((each) => each.n)).toEqual([1, 2, 3, 4]);
    expect(fitting(saved, 300).map((each) => each.n)).toEqual([1]);
    expect(fitting([one(2, 1_000)], 3).map((each) => each.n)).toEqual([2]);
  });

  test('an answer is whole when every lane of every scope is', () => {
    const cursors = { a: {}, b: {} };
    expect(isWhole({ a: [0, 1, 2, 3, 4], b: [0, 1, 2, 3, 4] }, cursors)).toBe(true);
    expect(isWhole({ a: [0, 1, 2, 3, 4], b: [0] }, cursors)).toBe(false);
    expect(isWhole({ a: [0, 1, 2, 3, 4] }, cursors)).toBe(false);
  });
});

describe('the loop', () => {
  test('tries again later and later while nobody answers, and at once when the network is there', async () => {
    const [device, centre, world] = await enrolled();
    world.reachable = false;
    const waits: number[] = [];
    device.syncNow();
    for (let i = 0; i < 3; i++) {
      const asked = world.asked.length;
      await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'offline' }));
      waits.push(world.time.wait);
      world.time.pass(world.time.wait);
      await until(() => expect(world.asked.length).toBeGreaterThan(asked));
    }
    expect(waits).toEqual([500, 1_000, 2_000]);
    world.reachable = true;
    const syncs = centre.syncs.length;
    world.happen('online');
    await until(() => expect(centre.syncs.length).toBeGreaterThan(syncs));
    await until(() => expect(device.status).toMatchObject({ online: true, problem: null }));
  });

  test('polls in view and not out of it', async () => {
    const [device, centre, world] = await enrolled();
    const syncs = centre.syncs.length;
    world.isVisible = false;
    world.time.pass(10_000);
    await until(() => expect(device.status.syncing).toBe(false));
    expect(centre.syncs.length).toBe(syncs);
    world.isVisible = true;
    world.time.pass(10_000);
    await until(() => expect(centre.syncs.length).toBe(syncs + 1));
  });

  test('a poke of what is not here yet makes it sync', async () => {
    const [device, centre, world] = await enrolled();
    const socket = world.sockets[0]!;
    socket.onopen?.();
    socket.say({ hello: { scopes: { 'unit/u1': { '0': 10 } } } });
    await until(() => expect(device.status.syncing).toBe(false));
    const syncs = centre.syncs.length;
    socket.say({ scope: 'unit/u1', lane: 0, seq: 11, prev: 10 });
    await until(() => expect(centre.syncs.length).toBe(syncs + 1));
  });

  test('goes on until every lane is complete, lane 0 alone first while it is behind', async () => {
    const [device, centre] = await enrolled();
    const start = centre.syncs.length;
    let answers = 0;
    centre.next = ({ lanes }) =>
      lanes || ++answers > 3 ? {} : { complete: {}, pages: [page('directory', 2, 20 + answers, [])], upto: 40 };
    device.syncNow();
    await until(() => expect(device.status).toMatchObject({ syncing: false, behind: false }));
    expect(answers).toBe(4);
    expect(centre.syncs.slice(start).map((one) => one.lanes)).toEqual([null, [0], null, [0], null, [0], null]);
  });

  test('a centre that wants a newer app is obeyed without losing anything', async () => {
    const [device, , world] = await enrolled();
    world.answer = () => problem(426, 'protocol');
    await device.write('target.step', [step('a')]);
    await until(() => expect(device.status).toMatchObject({ updateNeeded: true, problem: 'protocol', waiting: 1 }));
  });

  test('says that the centre was silent for too long', async () => {
    const [device, , world] = await enrolled();
    expect(device.status.online).toBe(true);
    world.isVisible = false;
    let told = 0;
    device.subscribe(() => told++);
    world.time.pass(31_000);
    expect(device.status).toMatchObject({ online: false, heartbeatAge: 31_000 });
    await until(() => expect(told).toBeGreaterThan(0));
  });
});

describe('a portal that answers everything with 200', () => {
  const good = () => reply({ complete: { directory: [0] } }) as unknown as Record<string, unknown>;
  const answers: [string, unknown][] = [
    ['an object', { ok: true }],
    ['null', null],
    ['a list', []],
    ['another centre', { ...good(), centre: 'c2' }],
    ['no epoch', { ...good(), epoch: undefined }],
    ['an empty epoch', { ...good(), epoch: '' }],
    ['no time', { ...good(), now: undefined }],
    ['a broken time', { ...good(), now: 1.5 }],
    ['no upto', { ...good(), upto: null }],
    ['no verdicts', { ...good(), verdicts: {} }],
    ['no pages', { ...good(), pages: undefined }],
    ['a page without rows', { ...good(), pages: [{ scope: 'directory', lane: 0, next: 1 }] }],
    ['complete as a list', { ...good(), complete: [] }],
    ['no missing', { ...good(), missing: null }],
    ['missing numbers that are none', { ...good(), missing: { '0': ['1'] } }],
    ['a pair that is none', { ...good(), restart: ['directory'] }],
    ['a sum that is none', { ...good(), digests: { directory: { '2': 'XYZ' } } }],
    ['a snapshot without parts', { ...good(), snapshots: [{ scope: 'directory', lane: 2, seq: 1 }] }],
    [
      'a part that leads elsewhere',
      { ...good(), snapshots: [{ scope: 'd', lane: 2, seq: 1, parts: [{ sha256: '../x', size: 1 }] }] },
    ],
    ['a proof without words', { ...good(), pages: [{ ...page('directory', 2, 1, []), proofs: [{ n: 1 }] }] }],
    [
      'tags that are none',
      { ...good(), verdicts: [{ dot: 'r/0/1', hash: 'h', verdict: 'applied', seq: 1, tags: [1] }] },
    ],
    ['a fork before the beginning', { ...good(), fork: -1 }],
  ];

  test.each(answers)('with %s changes nothing', async (_name, answer) => {
    const [device, centre, world] = await enrolled();
    const { identity } = device;
    const [now, cursors] = [device.now() - world.time.nowMs, await cursorsOf(world)];
    const heardAt = world.time.nowMs - device.status.heartbeatAge!;
    world.answer = () => json(answer);
    world.time.pass(1_000);
    device.syncNow();
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'offline', online: false }));
    expect(world.time.nowMs - device.status.heartbeatAge!).toBe(heardAt);
    expect(device.identity).toEqual(identity);
    expect(device.now() - world.time.nowMs).toBe(now);
    expect(await cursorsOf(world)).toEqual(cursors);
    world.answer = (asked) => centre.answer(asked);
    world.happen('online');
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: null, online: true }));
  });

  test.each([
    ['nothing', {}],
    ['no token', { ...enrolReply(), token: undefined }],
    ['no time', { ...enrolReply(), now: 'soon' }],
  ])('enrols nobody: %s', async (_name, answer) => {
    const world = new World();
    world.answer = () => json(answer);
    const device = await world.open();
    await expect(device.enrol('1', 'x')).rejects.toBeInstanceOf(Unreachable);
    expect(device.identity).toBeNull();
    expect(device.now()).toBe(world.time.nowMs);
  });

  test('what an older app took from it is healed', async () => {
    const [device, centre, world] = await enrolled();
    device.close();
    const store = await world.disk.store();
    const identity = { ...device.identity!, epoch: undefined };
    await store.write({ identity, offset: Number.NaN, lastSync: Number.NaN });
    const again = await world.open();
    expect(again.now()).toBe(world.time.nowMs);
    expect(again.status.lastSync).toBeNull();
    await until(() => expect(again.identity?.epoch).toBe('e1'));
    await until(() => expect(again.status).toMatchObject({ syncing: false, problem: null }));
    expect(centre.syncs.map((one) => one.epoch)).toContain('');
  });
});

const cursorsOf = async (world: World) => (await world.disk.store()).cursors();

describe('trouble', () => {
  test('of this device is told apart from the centre’s', () => {
    const full = new DOMException('full', 'QuotaExceededError');
    expect(troubleOf(full)).toBe('device_full');
    expect(troubleOf({ name: 'AbortError', inner: full })).toBe('device_full');
    expect(troubleOf({ name: 'BulkError', failures: [full] })).toBe('device_full');
    expect(troubleOf(new TypeError('x'))).toBe('device_error');
    expect(troubleOf(new ProblemError(507, null))).toBe('internal');
    expect(troubleOf(new Unreachable('x'))).toBe('offline');
  });

  test.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
  ])('%d without words has a code', (status, code) => {
    expect(new ProblemError(status, null).code).toBe(code);
  });

  test('of a full device is shown as such', async () => {
    const [device, centre, world] = await enrolled();
    const tables = IDBObjectStore.prototype;
    const real = tables.put;
    tables.put = function (this: { name: string }, ...given: unknown[]) {
      if (this.name === 'rows') throw new DOMException('full', 'QuotaExceededError');
      return real.apply(this as never, given as never);
    } as typeof real;
    centre.next = () => ({ pages: [page('directory', 2, 15, [row('unit', 'u9', 15)])] });
    device.syncNow();
    await until(() => expect(device.status.problem).toBe('device_full'));
    tables.put = real;
    world.happen('online');
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: null }));
    expect(device.rows('unit').length).toBe(1);
  });
});

test('an answer that is no JSON is as good as none', async () => {
  const world = new World();
  const [device] = await enrolled(world);
  world.answer = () => new Response('<h1>portal</h1>');
  device.syncNow();
  await until(() => expect(device.status.problem).toBe('offline'));
});
