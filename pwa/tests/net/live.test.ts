/** The open line: a greeting, pokes, a heartbeat, and another try when it dies. */

import { beforeEach, describe, expect, test, vi } from 'vitest';
import { HEARTBEAT_MS, Live } from '../../src/net/live.ts';
import { FakeSocket, Time } from './world.ts';

let time: Time;
let sockets: FakeSocket[];
let moved: [string, number, number][];
let live: Live;
const heard = vi.fn();

beforeEach(() => {
  time = new Time();
  sockets = [];
  moved = [];
  live = new Live({
    ports: {
      now: () => time.nowMs,
      later: time.later,
      random: () => 0,
      socket: () => {
        const socket = new FakeSocket();
        sockets.push(socket);
        return socket;
      },
    },
    hello: () => ({ token: 'secret', replica: 'r1' }),
    moved: (...what) => moved.push(what),
    heard,
    changed: () => undefined,
  });
  live.start();
});

const last = (): FakeSocket => sockets[sockets.length - 1]!;
function greet(scopes = {}): void {
  last().onopen?.();
  last().say({ hello: { scopes } });
}

test('it says who it is first, and is up once greeted', () => {
  last().onopen?.();
  expect(JSON.parse(last().sent[0]!)).toEqual({ token: 'secret', replica: 'r1' });
  expect(live.up).toBe(false);
  last().say({ hello: { scopes: { 'unit/u1': { '0': 7 } } } });
  expect(live.up).toBe(true);
  expect(moved).toEqual([['unit/u1', 0, 7]]);
});

test('a poke says what moved', () => {
  greet();
  last().say({ scope: 'unit/u1', lane: 1, seq: 9, prev: 7 });
  expect(moved).toEqual([['unit/u1', 1, 9]]);
});

describe('the heartbeat', () => {
  test('asks, and an answer keeps the line', () => {
    greet();
    for (let beat = 0; beat < 5; beat++) {
      time.pass(HEARTBEAT_MS);
      last().say('pong');
    }
    expect(last().sent.filter((text) => text === 'ping').length).toBe(5);
    expect(sockets.length).toBe(1);
    expect(live.up).toBe(true);
  });

  test('ends a line that is silent, and opens another', () => {
    greet();
    time.pass(2 * HEARTBEAT_MS);
    expect(live.up).toBe(false);
    expect(sockets[0]!.closed).toBe(true);
    time.pass(1_000);
    expect(sockets.length).toBe(2);
  });

  test('ends a line that never greeted', () => {
    time.pass(2 * HEARTBEAT_MS);
    expect(sockets[0]!.closed).toBe(true);
  });
});

test('each failure waits longer, a sign of the network not at all', () => {
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    last().onclose?.();
    waits.push(time.wait);
    time.pass(time.wait);
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000]);
  last().onclose?.();
  const count = sockets.length;
  live.retry();
  expect(sockets.length).toBe(count + 1);
});

test('an old line that speaks late is not heard', () => {
  greet();
  const old = last();
  const say = old.onmessage;
  live.restart();
  say?.({ data: '{"scope":"x","lane":0,"seq":1}' });
  expect(moved).toEqual([]);
});

test.each(['<h1>portal</h1>', 'null', '7', '{"hello":{}}'])('a frame that is not ours is passed over: %s', (frame) => {
  last().onopen?.();
  expect(() => last().say(frame)).not.toThrow();
  expect(moved).toEqual([]);
  expect(sockets.length).toBe(1);
});

test('once stopped it stays closed', () => {
  greet();
  live.stop();
  time.pass(600_000);
  expect(sockets.length).toBe(1);
  expect(last().closed).toBe(true);
});
