/** Whatever breaks on the way: a photo arrives whole, and no more than the chunk in hand is sent twice. */

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { BLOB_CHUNK_BYTES_MAX, type Change } from '../../src/core/contract.ts';
import type { IntentName } from '../../src/core/intents.ts';
import { Api } from '../../src/net/api.ts';
import type { Device } from '../../src/net/device.ts';
import { Uploader } from '../../src/net/upload.ts';
import type { BlobRecord } from '../../src/store/database.ts';
import type { Store } from '../../src/store/store.ts';
import { T, step } from '../store/world.ts';
import { Centre, World, enrolled, problem, until, type Asked } from './world.ts';

const SIZE = 300_000;
/** A slow line, on which a photo takes many chunks. */
const BYTES_PER_MS = 32;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const LOST = 0;

/** A chunk as it was sent, and the status that it got: LOST with its answer, null before any. */
interface Chunk {
  offset: number;
  bytes: Buffer;
  checksum: string;
  status: number | null;
}

type Mishap = (chunk: Chunk) => Response | Promise<Response> | null;

/** The part of the centre that takes photos. Each mishap meets one chunk, before it is looked at. */
class Shelf {
  bytes = Buffer.alloc(0);
  chunks: Chunk[] = [];
  /** What was asked about the upload, in order. */
  asked: string[] = [];
  mishaps: (Mishap | null)[] = [];
  forgotten = 0;
  private uploads = 0;
  private readonly world: World;

  constructor(world: World, centre: Centre) {
    this.world = world;
    world.answer = (asked) => (asked.path.startsWith('/v1/blob') ? this.answer(asked) : centre.answer(asked));
  }

  get sentBytes(): number {
    return this.chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Takes the chunk if it is the next one. */
  keep(chunk: Chunk): Response {
    const sum = createHash('sha256').update(chunk.bytes).digest('base64');
    if (chunk.offset !== this.bytes.length) return problem(409, 'upload_offset');
    if (chunk.checksum !== `sha256 ${sum}`) return problem(460, 'upload_checksum');
    this.bytes = Buffer.concat([this.bytes, chunk.bytes]);
    return this.stands(204);
  }

  private stands(status: number): Response {
    const url = `/v1/blob/u/${this.uploads}`;
    return new Response(null, { status, headers: { 'Upload-Offset': String(this.bytes.length), Location: url } });
  }

  private async answer({ method, headers, body, path }: Asked): Promise<Response> {
    this.asked.push(method);
    if (method === 'POST') {
      this.uploads++;
      return this.stands(201);
    }
    if (path !== `/v1/blob/u/${this.uploads}` || this.forgotten === this.uploads) return problem(404, 'not_found');
    if (method === 'HEAD') return this.stands(200);
    const [offset, checksum] = [Number(headers['Upload-Offset']), headers['Upload-Checksum']!];
    const chunk: Chunk = { offset, checksum, bytes: Buffer.from(body as ArrayBuffer), status: null };
    this.chunks.push(chunk);
    this.world.time.nowMs += Math.ceil(chunk.bytes.length / BYTES_PER_MS);
    try {
      const answer = (await this.mishaps.shift()?.(chunk)) ?? this.keep(chunk);
      chunk.status = answer.status;
      return answer;
    } catch (error) {
      chunk.status = LOST;
      throw error;
    }
  }
}

const feedback = (id: string, photos: object[] = []): Change => {
  const fields = { target: 't1', directive: 'd1', unit: 'u1', round: 1, at: T, kind: 'progress', text: '好', photos };
  return { op: 'create', entity: 'feedback', id, fields };
};

interface Scene {
  device: Device;
  shelf: Shelf;
  centre: Centre;
  world: World;
  /** Saves the words of a photo, so that it is uploaded after them. */
  send: () => Promise<string>;
}

async function withPhoto(): Promise<Scene> {
  const world = new World();
  const centre = new Centre(world);
  const shelf = new Shelf(world, centre);
  const ports = world.ports.bind(world);
  world.ports = () => ({ ...ports(), shrink: async (picture, edge) => picture.slice(0, edge < 1_600 ? 99 : SIZE) });
  const [device] = await enrolled(world, centre);
  const photo = await device.attachPhoto(new Blob([Uint8Array.from({ length: SIZE }, (_, i) => (i * 31) % 251)]));
  const send = (): Promise<string> => device.write('feedback.add', [feedback('f1', [photo])]);
  return { device, shelf, centre, world, send };
}

const lost: Mishap = () => Promise.reject(new TypeError('network'));

async function whole(device: Device, shelf: Shelf): Promise<void> {
  await until(() => expect(shelf.bytes.length).toBe(SIZE));
  await until(() => expect(device.status).toMatchObject({ photosWaiting: 0, photosFailed: 0 }));
  expect(await device.photo(sha256(shelf.bytes))).not.toBeNull();
}

/** All mishaps have happened, and the photo still waits. */
const stopped = (device: Device, shelf: Shelf): Promise<void> =>
  until(() => {
    expect(shelf.mishaps).toEqual([]);
    expect(shelf.chunks.at(-1)!.status).not.toBeNull();
    expect(device.status).toMatchObject({ photosWaiting: 1, syncing: false });
  });

/** Syncs until the upload is taken up again. */
async function takenUp(device: Device, shelf: Shelf): Promise<void> {
  const asked = shelf.asked.length;
  await until(() => {
    if (!device.status.syncing) device.syncNow();
    expect(shelf.asked.length).toBeGreaterThan(asked);
  });
}

test('an app closed between two chunks goes on with the next one, and sends nothing twice', async () => {
  const { device, shelf, world, send } = await withPhoto();
  shelf.mishaps.push((chunk) => {
    const answer = shelf.keep(chunk);
    world.reachable = false;
    return answer;
  });
  await send();
  await until(() => expect(world.asked.filter(({ method }) => method === 'PATCH').length).toBe(2));
  device.close();
  expect(shelf.chunks.map((one) => one.status)).toEqual([204]);
  shelf.asked = [];
  world.reachable = true;
  await whole(await world.open(), shelf);
  expect(shelf.asked.slice(0, 2)).toEqual(['HEAD', 'PATCH']);
  expect(shelf.chunks[1]!.offset).toBe(shelf.chunks[0]!.bytes.length);
  expect(shelf.sentBytes).toBe(SIZE);
});

test('a chunk that arrived without its answer is not sent again', async () => {
  const { device, shelf, send } = await withPhoto();
  shelf.mishaps.push(null, (chunk) => {
    shelf.keep(chunk);
    return lost(chunk);
  });
  await send();
  await stopped(device, shelf);
  await takenUp(device, shelf);
  await whole(device, shelf);
  expect(shelf.sentBytes).toBe(SIZE);
});

test('a chunk that was lost on the way is all that is sent again', async () => {
  const { device, shelf, send } = await withPhoto();
  shelf.mishaps.push(null, lost);
  await send();
  await stopped(device, shelf);
  await takenUp(device, shelf);
  await whole(device, shelf);
  const again = shelf.chunks.find(({ status }) => status === LOST)!;
  expect(shelf.sentBytes).toBe(SIZE + again.bytes.length);
});

test('a line that breaks at every second chunk costs that chunk each time', async () => {
  const { device, shelf, send } = await withPhoto();
  for (let i = 0; i < 4; i++) shelf.mishaps.push(lost, null);
  shelf.mishaps.push(lost);
  await send();
  for (let tries = 1; shelf.mishaps.length > 0; tries++) {
    await until(() => expect(shelf.chunks.filter((one) => one.status === LOST).length).toBe(tries));
    await takenUp(device, shelf);
  }
  await whole(device, shelf);
  const broken = shelf.chunks.filter((one) => one.status === LOST).reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect(shelf.sentBytes).toBe(SIZE + broken);
});

test('after a 409 the centre is asked where it stands, and the next chunk begins there', async () => {
  const { device, shelf, send } = await withPhoto();
  shelf.mishaps.push((chunk) => {
    const half = chunk.bytes.subarray(0, chunk.bytes.length >> 1);
    shelf.bytes = Buffer.from(half); // Another tab of this device was here.
    return problem(409, 'upload_offset');
  });
  await send();
  await whole(device, shelf);
  expect(shelf.asked.slice(0, 4)).toEqual(['POST', 'PATCH', 'HEAD', 'PATCH']);
  expect(shelf.chunks[1]!.offset).toBe(shelf.chunks[0]!.bytes.length >> 1);
});

test('after a 460 the same chunk goes again', async () => {
  const { device, shelf, send } = await withPhoto();
  shelf.mishaps.push(null, (chunk) => {
    chunk.bytes[7]! ^= 1; // A bit tips over on the way.
    return null;
  });
  await send();
  await whole(device, shelf);
  const [, bad, good] = shelf.chunks;
  expect([bad!.status, good!.status]).toEqual([460, 204]);
  expect([good!.offset, good!.checksum]).toEqual([bad!.offset, bad!.checksum]);
  expect(shelf.sentBytes).toBe(SIZE + bad!.bytes.length);
});

test('an upload that the centre has forgotten begins again', async () => {
  const { device, shelf, send } = await withPhoto();
  shelf.mishaps.push(null, lost);
  await send();
  await stopped(device, shelf);
  [shelf.forgotten, shelf.bytes, shelf.asked] = [1, Buffer.alloc(0), []];
  await takenUp(device, shelf);
  await whole(device, shelf);
  expect(shelf.asked.slice(0, 3)).toEqual(['HEAD', 'POST', 'PATCH']);
});

test.each<[number, IntentName, Change]>([
  [0, 'target.step', step('a')],
  [1, 'feedback.add', feedback('f2')],
])('a chunk under way is given up for words of lane %d, and none is sent before those', async (_, intent, change) => {
  const { device, shelf, centre, send } = await withPhoto();
  shelf.mishaps.push(null, () => new Promise(() => undefined));
  await send();
  await until(() => expect(shelf.chunks.length).toBe(2));
  let settle = (): void => undefined;
  const settled = new Promise<void>((resolve) => (settle = resolve));
  centre.next = async ({ runs }) => {
    if (runs.length) await settled;
    return {};
  };
  await device.write(intent, [change]);
  await until(() => expect(centre.pushed.length).toBe(2));
  device.syncNow();
  expect(shelf.chunks.length).toBe(2);
  settle();
  await whole(device, shelf);
  const [, given, again] = shelf.chunks;
  expect(again!.offset).toBe(given!.offset);
  expect(shelf.sentBytes).toBe(SIZE + given!.bytes.length);
});

test.each<[string, number, string | null, number]>([
  ['lane 0 stop', 0, null, 1],
  ['lane 1 stop', 1, null, 1],
  ['lane 2 do not stop', 2, null, 2],
  ['lane 0 that the centre holds do not stop', 0, 'after_unmet', 2],
])('between two chunks words of %s the upload', async (_, lane, held, sent) => {
  const world = new World();
  const [ports, size] = [world.ports(), 2 * BLOB_CHUNK_BYTES_MAX];
  const [blob, outbox] = [new Blob([new Uint8Array(size)]), [] as object[]];
  const photo = { sha256: sha256(new Uint8Array(size)), size, state: 'waiting' as const };
  const record: BlobRecord = { ...photo, blob, type: 'image/jpeg', upload: null };
  const nothing = async (): Promise<void> => undefined;
  const blobs = { get: async () => record, continueAt: nothing, sent: nothing };
  let stands = 0;
  const chunks: number[] = [];
  world.answer = ({ method, body }) => {
    if (method === 'PATCH') {
      chunks.push(stands);
      stands = chunks.length === 1 ? (body as ArrayBuffer).byteLength : size;
      outbox.push({ lane, held, photos: [] });
    }
    return new Response(null, { headers: { 'Upload-Offset': String(stands), Location: '/v1/blob/u/1' } });
  };
  const store = { outbox, photos: [photo], blobs } as unknown as Store;
  const uploader = new Uploader({ ports, api: new Api(ports), store, restMs: () => 0, again: () => undefined });
  await uploader.run();
  expect(chunks.length).toBe(sent);
  outbox.length = 0;
  await uploader.run();
  expect(chunks[0]).toBe(0);
  expect(chunks[1]).toBeGreaterThan(0);
});

test('of two tabs one uploads, and when it is closed the other one goes on', async () => {
  const { device, shelf, world, send } = await withPhoto();
  const other = await world.open();
  shelf.mishaps.push(null, lost);
  await send();
  await stopped(device, shelf);
  device.close();
  await whole(other, shelf);
  const again = shelf.chunks.filter((one) => one.status === LOST);
  expect(again.length).toBe(1);
  expect(shelf.sentBytes).toBe(SIZE + again[0]!.bytes.length);
  expect(shelf.asked.filter((one) => one === 'POST').length).toBe(1);
});
