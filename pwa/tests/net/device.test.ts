/** The facade as screens use it, against a centre that checks what it gets. */

import { IDBDatabase, IDBObjectStore } from 'fake-indexeddb';
import { describe, expect, test, vi } from 'vitest';
import type { Value } from '../../src/core/contract.ts';
import { Refusal, hashOf } from '../../src/core/mutation.ts';
import { ProblemError } from '../../src/net/api.ts';
import type { Device } from '../../src/net/device.ts';
import { StoreLost } from '../../src/store/guard.ts';
import { Memory } from '../../src/store/memory.ts';
import { UnsentWork } from '../../src/store/store.ts';
import { REPLICA, T, page, row, step } from '../store/world.ts';
import { Centre, World, enrolled, problem, until } from './world.ts';

const directive = (urgency = 'flash') =>
  row('directive', 'd1', 11, {
    incident: 'i1',
    kind: 'dispatch',
    urgency,
    version: 2,
    text: '出动',
    clocks: {},
    at: T,
  });
const target = (unit = 'u1') => row('target', 't1', 12, { directive: 'd1', incident: 'i1', unit, lead: true });
const sent = (centre: Centre, name: string) =>
  centre.pushed.flatMap((one) => one.changes).filter((change) => change.fields.step === name);
const idleOf = (device: Device) => until(() => expect(device.status.syncing).toBe(false));
const idle = (device: Device) => until(() => expect(device.status).toMatchObject({ syncing: false, waiting: 0 }));

describe('enrolment', () => {
  test('gives an identity that survives a restart, with a key that cannot be taken out', async () => {
    const [device, , world] = await enrolled();
    expect(device.identity).toMatchObject({ replica: REPLICA, unitName: '一队', kind: 'phone', roles: ['responder'] });
    device.close();
    const again = await world.open();
    expect(again.identity).toEqual(device.identity);
    const store = await world.disk.store();
    const { keys } = await store.read<Value>('credentials', null);
    expect(keys.privateKey.extractable).toBe(false);
  });

  test('says why a code was refused, and leaves the device as it was', async () => {
    const world = new World();
    world.answer = () => problem(410, 'code_expired');
    const device = await world.open();
    await expect(device.enrol('1', 'x')).rejects.toMatchObject({ code: 'code_expired', status: 410 });
    await expect(device.enrol('1', 'x')).rejects.toBeInstanceOf(ProblemError);
    expect(device.identity).toBeNull();
  });

  test('never drops what was not sent', async () => {
    const [device, , world] = await enrolled();
    world.reachable = false;
    await device.write('target.step', [step('a')]);
    world.reachable = true;
    world.answer = (asked) =>
      asked.path === '/v1/enrol' ? new Centre(new World()).answer(asked) : problem(500, 'internal');
    await expect(device.enrol('2', 'x')).rejects.toBeInstanceOf(UnsentWork);
    expect(device.outbox().length).toBe(1);
  });
});

describe('enrolling again', () => {
  const asks = (world: World) => world.asked.filter((one) => one.path === '/v1/enrol').length;

  test('waits for refusals to be seen, and does not spend the code before', async () => {
    const [device, centre, world] = await enrolled();
    centre.verdictOf = () => ({ verdict: 'refused', code: 'no_right' });
    const dot = await device.write('target.step', [step('a')]);
    await until(() => expect(device.refused().length).toBe(1));
    await idle(device);
    await expect(device.enrol('2', 'x')).rejects.toBeInstanceOf(UnsentWork);
    expect(asks(world)).toBe(1);
    await device.dismiss(dot);
    await device.enrol('2', 'x');
    expect(asks(world)).toBe(2);
  });

  test('waits for photos that the centre does not have', async () => {
    const [device, , world] = await enrolled();
    const store = await world.disk.store();
    const sha256 = 'f'.repeat(64);
    await store.blobs.add({
      sha256,
      blob: new Blob(['x']),
      size: 1,
      type: 'image/jpeg',
      state: 'waiting',
      upload: null,
    });
    await expect(device.enrol('2', 'x')).rejects.toBeInstanceOf(UnsentWork);
    await store.blobs.sent(sha256);
    await device.enrol('2', 'x');
    expect(asks(world)).toBe(2);
  });
});

describe('a revoked device', () => {
  test('says so, also after a restart and out of reach, until something is granted again', async () => {
    const [device, centre, world] = await enrolled();
    centre.next = ({ cursors }) => ({ revoked: Object.keys(cursors), complete: {} });
    device.syncNow();
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'revoked' }));
    device.syncNow();
    await until(() => expect(device.status.syncing).toBe(false));
    expect(device.status.problem).toBe('revoked');
    device.close();
    world.reachable = false;
    const again = await world.open();
    expect(again.status.problem).toBe('revoked');
    world.reachable = true;
    centre.next = () => ({ gained: ['directory'], complete: { directory: [0, 1, 2, 3, 4] } });
    world.happen('online');
    await until(() => expect(again.status).toMatchObject({ syncing: false, problem: null }));
  });

  test('that is refused outright says so too', async () => {
    const [device, , world] = await enrolled();
    world.answer = () => problem(403, 'revoked');
    device.syncNow();
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'revoked' }));
  });

  test('is told at once what became of words that the centre held, though no row comes to it any more', async () => {
    const [device, centre] = await enrolled();
    centre.verdictOf = () => ({ verdict: 'held', code: 'parent_unknown' });
    const dot = await device.write('target.step', [step('a')]);
    await until(() => expect(device.outbox()).toMatchObject([{ state: 'held' }]));
    await idleOf(device);
    centre.next = ({ cursors }) => ({ revoked: Object.keys(cursors), complete: {} });
    device.syncNow();
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'revoked' }));
    expect(device.refused()).toEqual([]);
    centre.verdictOf = () => ({ verdict: 'quarantined', code: 'parent_unknown', repeat: true });
    device.syncNow();
    await until(() => expect(device.refused()).toMatchObject([{ dot, verdict: 'quarantined' }]));
    expect(device.outbox()).toEqual([]);
  });

  test('is not one that lost some of its scopes', async () => {
    const [device, centre] = await enrolled();
    centre.next = () => ({ revoked: ['directory'], complete: {} });
    device.syncNow();
    await until(() => expect(centre.syncs.length).toBeGreaterThan(1));
    await idle(device);
    expect(device.status.problem).toBeNull();
  });
});

test('a database deleted under the app leaves what is in memory, and its file', async () => {
  const [device, , world] = await enrolled();
  world.reachable = false;
  const dot = await device.write('target.step', [step('a')]);
  await idleOf(device);
  await new Promise((resolve) => (world.disk.indexedDB.deleteDatabase('test').onsuccess = resolve));
  expect(device.status).toMatchObject({ storeLost: true, updateNeeded: false });
  await expect(device.write('target.step', [step('b')])).rejects.toBeInstanceOf(StoreLost);
  expect(device.status.storeLost).toBe(true);
  expect(device.row('step', 'a')).not.toBeNull();
  const file = JSON.parse(await (await device.exportUnsent()).text());
  expect(file.mutations.map((one: Value) => one.dot)).toEqual([dot]);
  expect((await world.disk.indexedDB.databases()).map(({ name }) => name)).toEqual([]);
});

test('drafts are kept, given and dropped', async () => {
  const [device, , world] = await enrolled();
  const keeping = device.keepDraft('feedback/t1', { text: '水位' });
  expect(device.draft('feedback/t1')).toEqual({ text: '水位' });
  await keeping;
  device.close();
  const again = await world.open();
  expect(again.draft<{ text: string }>('feedback/t1')?.text).toBe('水位');
  await again.dropDraft('feedback/t1');
  expect(again.draft('feedback/t1')).toBeNull();
});

test('what may be written once is written by one tab alone', async () => {
  const [device, centre, world] = await enrolled();
  const tabs = [device, await world.open(), await world.open()];
  const read = (id: string) => [step(id, { step: 'read' })];
  const dots = await Promise.all(tabs.map((tab, i) => tab.writeOnce('read/t1/1', 'target.step', read(`s${i}`))));
  expect(dots.filter((dot) => dot !== null).length).toBe(1);
  expect(await device.writeOnce('read/t1/2', 'target.step', read('s9'))).not.toBeNull();
  await until(() => expect(sent(centre, 'read').length).toBe(2));
});

test('only own rows have a receipt', async () => {
  const [device, centre] = await enrolled();
  const theirs = { ...row('step', 'theirs', 13, step('theirs').fields), dot: 'other/0/1' };
  const contact = row('contact', 'k1', 13, { name: '李' });
  const edited = { ...contact, dot: 'other/2/1', writes: { name: ['0199c0000000-0000-c', `${REPLICA}/2/7`] } };
  centre.next = () => ({ pages: [page('unit/u1', 0, 13, [theirs]), page('unit/u1', 2, 13, [edited])], upto: 13 });
  device.syncNow();
  await until(() => expect(device.rows('contact').length).toBe(1));
  expect(device.receiptOf('step/theirs')).toEqual({ saved: false, arrived: null, tags: [] });
  expect(device.receiptOf('contact/k1')).toEqual({ saved: true, arrived: T, tags: [] });
});

describe('writing', () => {
  test('is saved without a network, ticks once, and twice when the centre has it', async () => {
    const [device, centre, world] = await enrolled();
    world.reachable = false;
    const dot = await device.write('target.step', [step('a')]);
    expect(dot).toBe(`${REPLICA}/0/1`);
    expect(device.receiptOf('step/a')).toEqual({ saved: true, arrived: null, tags: [] });
    expect(device.row('step', 'a')?.arrived).toBe(0);
    await until(() => expect(device.status).toMatchObject({ online: false, problem: 'offline', waiting: 1 }));
    expect(device.outbox()).toMatchObject([{ dot, lane: 0, intent: 'target.step', at: T, state: 'saved' }]);
    world.reachable = true;
    world.happen('online');
    await idle(device);
    expect(centre.pushed.map((one) => one.n)).toEqual([1]);
    expect(device.receiptOf('step/a')).toEqual({ saved: true, arrived: T, tags: [] });
    expect(device.status).toMatchObject({ online: true, problem: null });
  });

  test('what the form forbids is refused at once', async () => {
    const [device] = await enrolled();
    await expect(device.write('target.step', [step('a', { step: 'flown' })])).rejects.toBeInstanceOf(Refusal);
    expect(device.outbox()).toEqual([]);
    expect(device.receiptOf('step/a')).toEqual({ saved: false, arrived: null, tags: [] });
  });

  test('a refused mutation leaves the rows and waits for the person', async () => {
    const [device, centre] = await enrolled();
    centre.verdictOf = () => ({ verdict: 'refused', code: 'no_right' });
    const dot = await device.write('target.step', [step('a')]);
    await until(() => expect(device.refused()).toMatchObject([{ dot, verdict: 'refused', code: 'no_right' }]));
    expect(device.row('step', 'a')).toBeNull();
    await device.dismiss(dot);
    expect(device.refused()).toEqual([]);
  });

  test('a held one stays, says so, and is not offered again and again', async () => {
    const [device, centre] = await enrolled();
    centre.verdictOf = () => ({ verdict: 'held', code: 'parent_unknown' });
    await device.write('target.step', [step('a')]);
    await until(() => expect(device.outbox()).toMatchObject([{ state: 'held' }]));
    await until(() => expect(device.status.syncing).toBe(false));
    device.syncNow();
    await until(() => expect(centre.syncs[centre.syncs.length - 1]!.outbox.count).toBe(1));
    await until(() => expect(device.status.syncing).toBe(false));
    expect(centre.pushed.length).toBe(1);
  });

  test('what the centre misses goes to it again at once', async () => {
    const [device, centre] = await enrolled();
    await device.write('target.step', [step('a')]);
    await until(() => expect(centre.pushed.length).toBe(1));
    await idle(device);
    const missing: Record<string, number[]>[] = [{ '0': [1] }];
    centre.next = () => ({ missing: missing.pop() ?? {} });
    device.syncNow();
    await until(() => expect(centre.pushed.map(({ n }) => n)).toEqual([1, 1]));
    await idle(device);
  });

  test('an urgent word goes beside a bulky answer that is under way', async () => {
    const [device, centre] = await enrolled();
    let release: (part: object) => void = () => undefined;
    centre.next = ({ lanes }) => (lanes ? {} : new Promise((resolve) => (release = resolve)));
    device.syncNow();
    const before = centre.syncs.length;
    await until(() => expect(centre.syncs.length).toBe(before + 1));
    await device.write('target.step', [step('a')]);
    await until(() => expect(centre.pushed.length).toBe(1));
    expect(centre.syncs[centre.syncs.length - 1]!.lanes).toEqual([0]);
    centre.next = () => ({});
    release({});
    await idle(device);
  });

  test('an urgent word whose own request came to nothing goes out although all others came through', async () => {
    const [device, centre, world] = await enrolled();
    const answer = world.answer;
    let release: (part: object) => void = () => undefined;
    let fail: () => void = () => undefined;
    centre.next = () => new Promise((resolve) => (release = resolve));
    const before = centre.syncs.length;
    device.syncNow();
    await until(() => expect(centre.syncs.length).toBe(before + 1));
    world.answer = () => new Promise((_resolve, reject) => (fail = () => reject(new TypeError('Failed to fetch'))));
    const asked = world.asked.length;
    await device.write('target.step', [step('a')]);
    await until(() => expect(world.asked.length).toBe(asked + 1));
    world.answer = answer;
    centre.next = () => ({});
    release({});
    await until(() => expect(device.status.syncing).toBe(false));
    expect(centre.pushed).toEqual([]);
    fail();
    await until(() => expect(centre.pushed.length).toBe(1));
    await idle(device);
  });

  test('ids are UUIDv7 and sort by time', async () => {
    const [device, , world] = await enrolled();
    const first = device.newId();
    world.time.pass(1);
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(device.newId() > first).toBe(true);
  });
});

describe('the receipt 送达', () => {
  const order = (urgency?: string, unit?: string) => ({
    pages: [page('unit/u1', 0, 12, [directive(urgency), target(unit)])],
  });

  test('is written once, and only after the rows are on disk', async () => {
    const world = new World();
    const centre = new Centre(world);
    let onDisk: number | null = null;
    centre.next = async (asked) => {
      const receipts = asked.runs.flatMap((run) => run.mutations);
      if (receipts.length) onDisk ??= (await world.disk.store()).memory.rows('target').length;
      return asked.cursors['unit/u1'] ? {} : order();
    };
    const [device] = await enrolled(world, centre);
    await until(() => expect(sent(centre, 'received').length).toBe(1));
    await until(() => expect(onDisk).toBe(1));
    expect(sent(centre, 'received')[0]!.fields).toMatchObject({
      target: 't1',
      round: 1,
      version: 2,
      route: 'device',
      unit: 'u1',
    });
    device.syncNow();
    await idle(device);
    device.close();
    const again = await world.open();
    await idle(again);
    again.syncNow();
    await idle(again);
    expect(sent(centre, 'received').length).toBe(1);
  });

  test('is not written while the lane is incomplete', async () => {
    const world = new World();
    const centre = new Centre(world);
    centre.next = (asked) => (asked.cursors['unit/u1'] ? { complete: {} } : { ...order(), complete: {} });
    const device = await world.open();
    await device.enrol('1', 'x');
    await until(() => expect(device.status).toMatchObject({ syncing: false, behind: true }));
    expect(device.rows('target')).toEqual([]);
    expect(device.outbox()).toEqual([]);
    expect(centre.pushed).toEqual([]);
  });

  test('is written again for a new round', async () => {
    const [device, centre] = await enrolled();
    centre.next = () => order();
    device.syncNow();
    await until(() => expect(sent(centre, 'received').length).toBe(1));
    await idle(device);
    const round = row('round', 'r2', 20, {
      target: 't1',
      directive: 'd1',
      unit: 'u1',
      round: 2,
      reason: 'redo',
      note: 'x',
      at: T,
    });
    centre.next = () => ({ pages: [page('unit/u1', 0, 20, [round])], upto: 20 });
    device.syncNow();
    await until(() => expect(sent(centre, 'received').map((one) => one.fields.round)).toEqual([1, 2]));
  });

  test.each([
    ['of an operator’s screen', { kind: 'operator', roles: ['operator'] }, 'u1'],
    ['of a steward, who takes no steps', { kind: 'tablet', roles: ['steward'] }, 'u1'],
    ['for another unit’s target', {}, 'u2'],
  ])('is none %s', async (_name, identity, unit) => {
    const world = new World();
    const centre = new Centre(world);
    centre.enrolled = identity;
    centre.next = () => order('flash', unit);
    const [device] = await enrolled(world, centre);
    expect(device.rows('target').length).toBe(1);
    device.syncNow();
    await until(() => expect(centre.syncs.length).toBeGreaterThan(1));
    await idle(device);
    expect(centre.pushed).toEqual([]);
  });

  test.each([
    ['when the round is closed', 'closed', 'c/0/9'],
    ['when this replica’s is there already', 'received', `${REPLICA}/0/9`],
  ])('is none %s', async (_name, name, dot) => {
    const [device, centre] = await enrolled();
    const said = { ...row('step', 's1', 13, step('s1', { step: name }).fields), dot };
    centre.next = () => ({ pages: [page('unit/u1', 0, 13, [directive(), target(), said])], upto: 13 });
    device.syncNow();
    await until(() => expect(device.rows('target').length).toBe(1));
    device.syncNow();
    await idle(device);
    expect(centre.pushed).toEqual([]);
  });

  test('of 1,250 orders goes to disk in a few transactions, and all of it once', async () => {
    const world = new World();
    world.chance = 0.99;
    const centre = new Centre(world);
    const orders = Array.from({ length: 1_250 }, (_, i) => [
      { ...directive('routine'), id: `d${i}` },
      row('target', `t${i}`, 12, { directive: `d${i}`, incident: 'i1', unit: 'u1', lead: true }),
    ]);
    centre.next = (asked) => (asked.cursors['unit/u1'] ? {} : { pages: [page('unit/u1', 0, 12, orders.flat())] });
    const writes = countWrites();
    const overlays = vi.spyOn(Memory.prototype, 'overlay');
    const [device] = await enrolled(world, centre);
    await vi.waitFor(() => expect(device.outbox().length).toBe(1_250), { interval: 5, timeout: 20_000 });
    expect(writes()).toBeLessThan(60);
    expect(overlays.mock.calls.length).toBeLessThan(10);
    overlays.mockRestore();
    const targets = device.outbox().map((one) => one.mutation.changes[0]!.fields.target);
    expect(new Set(targets).size).toBe(1_250);
  }, 30_000);

  test('that finds no room says so, and is written after the next answer', async () => {
    const [device, centre] = await enrolled();
    const tables = IDBObjectStore.prototype;
    const real = tables.add;
    tables.add = function (this: { name: string }, ...given: unknown[]) {
      if (this.name === 'outbox') throw new DOMException('full', 'QuotaExceededError');
      return real.apply(this as never, given as never);
    } as typeof real;
    centre.next = () => order();
    device.syncNow();
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'device_full' }));
    tables.add = real;
    expect(centre.pushed).toEqual([]);
    device.syncNow();
    await until(() => expect(sent(centre, 'received').length).toBe(1));
    await until(() => expect(device.status).toMatchObject({ syncing: false, problem: null }));
  });

  test('of an order that no receipt fits does not hold up the others', async () => {
    const [device, centre] = await enrolled();
    const broken = { ...directive(), id: 'd2', fields: { ...directive().fields, version: 'x' } };
    const other = { ...target(), id: 't2', fields: { ...target().fields, directive: 'd2' } };
    centre.next = () => ({ pages: [page('unit/u1', 0, 12, [broken, other, directive(), target()])] });
    device.syncNow();
    await until(() => expect(sent(centre, 'received').map((one) => one.fields.target)).toEqual(['t1']));
  });

  test('of a routine order waits a little, so that not all answer at once', async () => {
    const world = new World();
    world.chance = 0.5;
    const [device, centre] = await enrolled(world);
    centre.next = () => order('routine');
    device.syncNow();
    await until(() => expect(device.outbox().length).toBe(1));
    await until(() => expect(device.status.syncing).toBe(false));
    world.time.pass(999);
    expect(sent(centre, 'received')).toEqual([]);
    world.time.pass(1);
    await until(() => expect(sent(centre, 'received').length).toBe(1));
  });

  test('of a routine order that came while another one waited goes when its own time has come', async () => {
    const world = new World();
    world.chance = 0.5;
    const [device, centre] = await enrolled(world);
    const another = { ...target(), id: 't2', seq: 14 };
    const now = (): object => ({ now: world.time.nowMs });
    centre.next = () => ({ ...order('routine'), ...now() });
    device.syncNow();
    await until(() => expect(device.outbox().length).toBe(1));
    await idleOf(device);
    world.time.pass(600);
    centre.next = () => ({ pages: [page('unit/u1', 0, 14, [another])], ...now() });
    device.syncNow();
    await until(() => expect(device.outbox().length).toBe(2));
    await idleOf(device);
    centre.next = now;
    world.time.pass(400);
    await until(() => expect(sent(centre, 'received').length).toBe(1));
    await idleOf(device);
    world.time.pass(600);
    await until(() => expect(sent(centre, 'received').length).toBe(2));
  });

  test('of a routine order waits no longer because the app ended meanwhile', async () => {
    const world = new World();
    world.chance = 0.5;
    const [device, centre] = await enrolled(world);
    const now = (): object => ({ now: world.time.nowMs });
    centre.next = () => ({ ...order('routine'), ...now() });
    device.syncNow();
    await until(() => expect(device.outbox().length).toBe(1));
    await idleOf(device);
    device.close();
    centre.next = now;
    world.time.pass(600);
    const before = centre.syncs.length;
    const again = await world.open();
    await until(() => expect(centre.syncs.length).toBeGreaterThan(before));
    await idleOf(again);
    expect(sent(centre, 'received')).toEqual([]);
    world.time.pass(400);
    await until(() => expect(sent(centre, 'received').length).toBe(1));
  });
});

describe('scopes and logs', () => {
  test('a lost scope takes its rows along', async () => {
    const [device, centre] = await enrolled();
    const unit = row('unit', 'u9', 15, { name: '九队' });
    centre.next = () => ({ pages: [page('directory', 2, 15, [unit])] });
    device.syncNow();
    await until(() => expect(device.rows('unit').length).toBe(1));
    centre.next = () => ({ revoked: ['directory'], complete: {}, upto: 15 });
    device.syncNow();
    await until(() => expect(device.rows('unit')).toEqual([]));
  });

  test('another epoch begins anew and offers sent work again', async () => {
    const [device, centre] = await enrolled();
    centre.next = () => ({ complete: {} });
    await device.write('target.step', [step('a')]);
    await idle(device);
    centre.next = () => ({ epoch: 'e2' });
    device.syncNow();
    await until(() => expect(device.identity?.epoch).toBe('e2'));
    await until(() => expect(centre.pushed.map((one) => one.n)).toEqual([1, 1]));
    expect(centre.syncs[centre.syncs.length - 1]!.epoch).toBe('e2');
  });
});

describe('the file of unsent work', () => {
  test('holds the exact bytes, hashes and identity, and neither token nor key', async () => {
    const [device, centre, world] = await enrolled();
    world.reachable = false;
    await device.write('target.step', [step('a', { note: '雨大𠮷🚒' })]);
    await device.write('target.step', [step('b')]);
    const text = await (await device.exportUnsent()).text();
    const file = JSON.parse(text);
    expect(file.identity.actorName).toBe('王');
    expect(file.mutations.map((one: Value) => one.dot)).toEqual([`${REPLICA}/0/1`, `${REPLICA}/0/2`]);
    const raws: string[] = file.runs[0].mutations;
    expect(raws.map(hashOf)).toEqual(device.outbox().map((one) => one.hash));
    expect(raws[0]).toContain('雨大𠮷🚒');
    expect(text).not.toContain('secret-token');
    expect(text.split('\n').length).toBeGreaterThan(20);
    await expect(
      centre.answer({
        method: 'POST',
        path: '/v1/sync',
        headers: { Authorization: 'Bearer secret-token' },
        body: `{"epoch":"e1","cursors":{},"lanes":null,"outbox":{"count":0,"oldest":null},"runs":[{"lane":0,"sig":"${file.runs[0].sig}","mutations":[${raws.join(',')}]}]}`,
      }),
    ).resolves.toMatchObject({ status: 200 });
  });
});

describe('two tabs', () => {
  test('one leads; what the other writes goes out through it', async () => {
    const [leader, centre, world] = await enrolled();
    const other = await world.open();
    expect([leader.status.leader, other.status.leader]).toEqual([true, false]);
    await other.write('target.step', [step('a')]);
    await until(() => expect(centre.pushed.length).toBe(1));
    await idle(leader);
    await idle(other);
    await until(() => expect(other.receiptOf('step/a').arrived).toBe(T));
    expect(other.status.online).toBe(true);
  });

  test('when the leading one ends, the other takes over', async () => {
    const [leader, centre, world] = await enrolled();
    const other = await world.open();
    leader.close();
    await until(() => expect(other.status.leader).toBe(true));
    await other.write('target.step', [step('a')]);
    await until(() => expect(centre.pushed.length).toBe(1));
  });

  test('a tab that was open before enrolment follows it', async () => {
    const world = new World();
    const centre = new Centre(world);
    const [leader, other] = [await world.open(), await world.open()];
    await other.enrol('1', 'x');
    await until(() => expect(leader.identity?.replica).toBe(REPLICA));
    await until(() => expect(centre.syncs.length).toBeGreaterThan(0));
  });
});

test('listeners are called once for many changes of one frame', async () => {
  const [device] = await enrolled();
  const listener = vi.fn();
  const stop = device.subscribe(listener);
  await Promise.all([device.write('target.step', [step('a')]), device.write('target.step', [step('b')])]);
  expect(listener).toHaveBeenCalled();
  await idle(device);
  stop();
  const calls = listener.mock.calls.length;
  await device.write('target.step', [step('c')]);
  expect(listener.mock.calls.length).toBe(calls);
});

test('a clock that is wrong is corrected from the middle of the round trip', async () => {
  const [device, centre, world] = await enrolled();
  centre.next = () => {
    world.time.pass(100);
    return { now: T + 3_600_000 };
  };
  device.syncNow();
  await until(() => expect(device.now()).toBe(world.time.nowMs + 3_600_000 - 50));
});

/** Counts the transactions that write, from now on. */
function countWrites(): () => number {
  const real = IDBDatabase.prototype.transaction;
  const spy = vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(real);
  return () => {
    const count = spy.mock.calls.filter(([, mode]) => mode === 'readwrite').length;
    spy.mockRestore();
    return count;
  };
}
