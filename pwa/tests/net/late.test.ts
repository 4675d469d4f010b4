/** A device whose sign-in the centre does not know any more gives up nothing: its words are handed over. */

import { webcrypto } from 'node:crypto';
import { expect, test } from 'vitest';
import { MUTATIONS_PER_PUSH_MAX, type Mutation } from '../../src/core/contract.ts';
import { dotOf, hashOf, signingText } from '../../src/core/mutation.ts';
import { utf8 } from '../../src/core/sha256.ts';
import { ProblemError, Unreachable } from '../../src/net/api.ts';
import type { Device } from '../../src/net/device.ts';
import { UnsentWork } from '../../src/store/store.ts';
import { REPLICA, T, step, verdict } from '../store/world.ts';
import { Centre, World, enrolled, json, problem, until } from './world.ts';

interface Late {
  centre: string;
  replica: string;
  key: string;
  runs: { lane: number; sig: string; mutations: Mutation[] }[];
}

/** A device with so many words, at a centre that was restored from a backup older than its enrolment. */
async function unknown(words: number): Promise<[Device, World, Late[], Centre]> {
  const [device, centre, world] = await enrolled();
  world.reachable = false;
  for (let i = 0; i < words; i++) await device.write('target.step', [step(`s${i}`)]);
  const asked: Late[] = [];
  world.answer = async (given) => {
    if (given.path === '/v1/enrol') return centre.answer(given);
    if (given.path !== '/v1/late') return problem(401, 'unauthenticated');
    const late: Late = JSON.parse(given.body);
    asked.push(late);
    const verdicts = late.runs.flatMap(({ mutations }) => mutations).map(kept);
    return json({ verdicts, now: T });
  };
  world.reachable = true;
  world.happen('online');
  await until(() => expect(device.status).toMatchObject({ syncing: false, problem: 'unauthenticated' }));
  return [device, world, asked, centre];
}

const kept = (mutation: Mutation) => {
  const { replica, lane, n } = mutation;
  const hash = hashOf(JSON.stringify(mutation));
  return { ...verdict(dotOf(replica, lane, n), hash, 0, 'quarantined'), code: 'late' };
};

test('they are kept at the centre and shown here until seen, and only then is the device enrolled anew', async () => {
  const [device, , asked] = await unknown(2);
  await expect(device.enrol('2', 'x')).rejects.toBeInstanceOf(UnsentWork);
  await device.sendLate();
  expect(device.outbox()).toEqual([]);
  expect(device.refused()).toMatchObject([
    { dot: `${REPLICA}/0/1`, verdict: 'quarantined', code: 'late' },
    { dot: `${REPLICA}/0/2`, verdict: 'quarantined', code: 'late' },
  ]);
  expect(asked.length).toBe(1);
  await expect(device.enrol('2', 'x')).rejects.toBeInstanceOf(UnsentWork);
  for (const { dot } of device.refused()) await device.dismiss(dot);
  await device.enrol('2', 'x');
});

test('the key and the signature of each run prove them', async () => {
  const [device, , asked] = await unknown(2);
  await device.sendLate();
  const [{ centre, replica, key, runs }] = asked as [Late];
  expect([centre, replica, runs.length]).toEqual(['c1', REPLICA, 1]);
  const kind = { name: 'ECDSA', namedCurve: 'P-256' };
  const known = await webcrypto.subtle.importKey('raw', Buffer.from(key, 'base64url'), kind, true, ['verify']);
  const last = runs[0]!.mutations[1]!;
  const text = signingText(last.realm, last.replica, last.lane, last.n, hashOf(JSON.stringify(last)));
  const signing = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = Buffer.from(runs[0]!.sig, 'base64url');
  expect(await webcrypto.subtle.verify(signing, known, signature, utf8(text))).toBe(true);
});

test('more than one request takes go in several, each word once', async () => {
  const [device, , asked] = await unknown(MUTATIONS_PER_PUSH_MAX + 1);
  await device.sendLate();
  const sizes = asked.map(({ runs }) => runs.reduce((sum, { mutations }) => sum + mutations.length, 0));
  expect(sizes).toEqual([MUTATIONS_PER_PUSH_MAX, 1]);
  expect(device.outbox()).toEqual([]);
});

test('where nobody answers, or the centre has no room, all still waits', async () => {
  const [device, world] = await unknown(1);
  const { answer } = world;
  world.answer = (given) => (given.path === '/v1/late' ? problem(507, 'storage') : answer(given));
  await expect(device.sendLate()).rejects.toBeInstanceOf(ProblemError);
  world.answer = (given) => (given.path === '/v1/late' ? new Response('<h1>portal</h1>') : answer(given));
  await expect(device.sendLate()).rejects.toBeInstanceOf(Unreachable);
  world.answer = (given) => (given.path === '/v1/late' ? json({ verdicts: [], now: T }) : answer(given));
  await expect(device.sendLate()).rejects.toBeInstanceOf(Unreachable);
  expect([device.outbox().length, device.refused()]).toEqual([1, []]);
});

test('what the centre has no room for is left in the outbox, and only that', async () => {
  const [device, world] = await unknown(5);
  const { answer } = world;
  let room = 3;
  world.answer = async (given) => {
    if (given.path !== '/v1/late') return answer(given);
    const said = (JSON.parse(given.body) as Late).runs.flatMap(({ mutations }) => mutations).slice(0, room);
    room -= said.length;
    return said.length ? json({ verdicts: said.map(kept), now: T }) : problem(503, 'shelf_full');
  };
  await expect(device.sendLate()).rejects.toMatchObject({ code: 'shelf_full' });
  expect(device.outbox().map(({ dot }) => dot)).toEqual([`${REPLICA}/0/4`, `${REPLICA}/0/5`]);
  expect(device.refused().length).toBe(3);
  room = 2;
  await device.sendLate();
  expect(device.outbox()).toEqual([]);
});

test('a centre that knows the device after all is sent them in the usual way', async () => {
  const [device, world, , centre] = await unknown(1);
  await device.sendLate();
  world.answer = (asked) => centre.answer(asked);
  const missing: Record<string, number[]> = { '0': [1] };
  centre.next = () => ({ missing: centre.pushed.length ? {} : missing });
  world.happen('online');
  await until(() => expect(device.outbox().length).toBe(1));
  device.syncNow();
  await until(() => expect(centre.pushed.map(({ n }) => n)).toEqual([1]));
  await until(() => expect([device.outbox(), device.refused()]).toEqual([[], []]));
});
