/** Photos: small, hashed after shrinking, sent after their words, in chunks that survive whatever happens. */

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Device } from '../../src/net/device.ts';
import { EXPORT_PHOTO_BYTES_MAX, exportFile } from '../../src/net/export.ts';
import type { Identity } from '../../src/net/types.ts';
import { CHUNK_BYTES_MIN } from '../../src/net/upload.ts';
import { BLOB_CHUNK_BYTES_MAX, type Value } from '../../src/core/contract.ts';
import { step } from '../store/world.ts';
import { Centre, World, enrolled, problem, until, type Asked } from './world.ts';

/** The part of the centre that takes photos, with what a test wants to go wrong. */
class Shelf {
  bytes = Buffer.alloc(0);
  size = 0;
  posts = 0;
  chunks: number[] = [];
  metadata = '';
  trouble: ((asked: Asked, offset: number) => Response | Promise<Response> | null)[] = [];

  constructor(world: World, centre: Centre) {
    world.answer = (asked) => (asked.path.startsWith('/v1/blob') ? this.answer(asked) : centre.answer(asked));
  }

  get sha256(): string {
    return createHash('sha256').update(this.bytes).digest('hex');
  }

  private answer(asked: Asked): Response | Promise<Response> {
    const { method, headers, body, path } = asked;
    const answer = (status: number): Response =>
      new Response(null, {
        status,
        headers: { 'Upload-Offset': String(this.bytes.length), Location: '/v1/blob/u/1', 'Tus-Resumable': '1.0.0' },
      });
    if (method === 'GET') return path.endsWith(this.sha256) ? new Response(this.bytes) : problem(404, 'not_found');
    if (method === 'POST') {
      this.posts++;
      this.size = Number(headers['Upload-Length']);
      this.metadata = headers['Upload-Metadata']!;
      return answer(201);
    }
    if (method === 'HEAD') return answer(200);
    const trouble = this.trouble.shift()?.(asked, this.bytes.length);
    if (trouble) return trouble;
    if (Number(headers['Upload-Offset']) !== this.bytes.length) return problem(409, 'upload_offset');
    const chunk = Buffer.from(body as ArrayBuffer);
    const sum = createHash('sha256').update(chunk).digest('base64');
    if (headers['Upload-Checksum'] !== `sha256 ${sum}`) return problem(460, 'upload_checksum');
    this.chunks.push(chunk.length);
    this.bytes = Buffer.concat([this.bytes, chunk]);
    return answer(204);
  }
}

const picture = (size: number): Blob => new Blob([Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) % 251))]);
const big = 300_000;

async function withShelf(): Promise<[Device, Shelf, Centre, World]> {
  const world = new World();
  const centre = new Centre(world);
  const shelf = new Shelf(world, centre);
  world.ports = ((real) => () => ({ ...real(), shrink: shrunk }))(world.ports.bind(world));
  const [device] = await enrolled(world, centre);
  return [device, shelf, centre, world];
}

/** Stands for a canvas: the large picture keeps its bytes, the thumb is small. */
const shrunk = async (blob: Blob, edgeMax: number): Promise<Blob> =>
  blob.slice(0, edgeMax === 1_600 ? blob.size : edgeMax * 10, 'image/jpeg');

async function feedback(device: Device, photo: Value): Promise<string> {
  const fields = {
    target: 't1',
    directive: 'd1',
    unit: 'u1',
    round: 1,
    at: 1_760_000_000_000,
    kind: 'progress',
    text: '好',
    photos: [photo],
  };
  return device.write('feedback.add', [{ op: 'create', entity: 'feedback', id: 'f1', fields }]);
}

const done = (device: Device) => until(() => expect(device.status.photosWaiting).toBe(0));

describe('a photo', () => {
  test('is known by the hash of its final bytes and has a thumb that fits', async () => {
    const [device] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    const bytes = Buffer.from(await (await device.photo(photo.sha256))!.arrayBuffer());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(photo.sha256);
    expect(photo).toMatchObject({ size: big, type: 'image/jpeg' });
    expect(photo.thumb.startsWith('data:image/jpeg;base64,')).toBe(true);
    expect(Buffer.from(photo.thumb.split(',')[1]!, 'base64').length).toBeLessThanOrEqual(8_192);
  });

  test('follows its words, whole and in chunks', async () => {
    const [device, shelf, centre] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    expect(shelf.posts).toBe(0);
    await feedback(device, photo);
    await until(() => expect(shelf.bytes.length).toBe(big));
    await done(device);
    expect(shelf.sha256).toBe(photo.sha256);
    expect(centre.pushed.length).toBe(1);
    expect(shelf.chunks.every((size) => size <= BLOB_CHUNK_BYTES_MAX)).toBe(true);
    expect(shelf.chunks.slice(0, -1).every((size) => size >= CHUNK_BYTES_MIN)).toBe(true);
    const parts = Object.fromEntries(shelf.metadata.split(',').map((pair) => pair.split(' ') as [string, string]));
    expect(Buffer.from(parts.sha256!, 'base64').toString()).toBe(photo.sha256);
    expect(Buffer.from(parts.type!, 'base64').toString()).toBe('image/jpeg');
  });

  test('waits while its words wait, and is counted', async () => {
    const [device, shelf, , world] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    world.reachable = false;
    await feedback(device, photo);
    await until(() => expect(device.status.problem).toBe('offline'));
    expect(device.outbox()).toMatchObject([{ photoBytes: big, state: 'saved' }]);
    expect([device.photoState(photo.sha256), device.photoState('f'.repeat(64))]).toEqual(['waiting', null]);
    world.reachable = true;
    world.happen('online');
    await until(() => expect(shelf.bytes.length).toBe(big));
    await done(device);
    expect(device.photoState(photo.sha256)).toBeNull();
  });

  test('goes on where the centre stands after a 409', async () => {
    const [device, shelf] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    shelf.trouble.push(({ body }) => {
      shelf.bytes = Buffer.from(body as ArrayBuffer); // The chunk arrived, its answer did not.
      return problem(409, 'upload_offset');
    });
    await feedback(device, photo);
    await until(() => expect(shelf.bytes.length).toBe(big));
    await done(device);
    expect(shelf.sha256).toBe(photo.sha256);
    expect(shelf.posts).toBe(1);
  });

  test('sends a chunk again that came out of shape', async () => {
    const [device, shelf] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    shelf.trouble.push(() => problem(460, 'upload_checksum'));
    await feedback(device, photo);
    await until(() => expect(shelf.bytes.length).toBe(big));
    expect(shelf.sha256).toBe(photo.sha256);
  });

  test('goes on after the app was closed, with the copy here until all is there', async () => {
    const [device, shelf, , world] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    shelf.trouble.push(
      () => null,
      () => Promise.reject(new TypeError('network')),
    );
    await feedback(device, photo);
    await until(() => expect(shelf.trouble.length).toBe(0));
    await until(() => expect(device.status.photosWaiting).toBe(1));
    device.close();
    const reached = shelf.bytes.length;
    expect(reached).toBeGreaterThan(0);
    expect(reached).toBeLessThan(big);
    const again = await world.open();
    await until(() => expect(shelf.bytes.length).toBe(big));
    await done(again);
    expect(shelf.posts).toBe(1);
    expect(shelf.sha256).toBe(photo.sha256);
    expect((await again.photo(photo.sha256))!.size).toBe(big);
  });

  test.each([204, 200])('that gets no further with a %d is tried later, and not again and again', async (status) => {
    const [device, shelf, , world] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    let chunks = 0;
    const lazy = (): Response => (chunks++, new Response(null, { status, headers: { 'Upload-Offset': '0' } }));
    shelf.trouble.push(...Array.from({ length: 20 }, () => lazy));
    await feedback(device, photo);
    await until(() => expect(chunks).toBe(1));
    for (let i = 0; i < 3; i++) {
      const syncs = world.asked.filter((one) => one.path === '/v1/sync').length;
      device.syncNow();
      await until(() => expect(world.asked.filter((one) => one.path === '/v1/sync').length).toBeGreaterThan(syncs));
      await until(() => expect(device.status.syncing).toBe(false));
    }
    expect(chunks).toBe(1);
    shelf.trouble = [];
    world.time.pass(60_000);
    await until(() => expect(shelf.bytes.length).toBe(big));
    await done(device);
  });

  test('that names no offset at all is as good as unanswered', async () => {
    const [device, shelf] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    let chunks = 0;
    shelf.trouble.push(...Array.from({ length: 20 }, () => () => (chunks++, new Response('<h1>portal</h1>'))));
    await feedback(device, photo);
    await until(() => expect(chunks).toBe(1));
    await until(() => expect(device.status).toMatchObject({ syncing: false, photosWaiting: 1 }));
    expect(chunks).toBe(1);
  });

  test.each([
    [413, 'too_large'],
    [415, 'unsupported'],
    [400, 'bad_request'],
  ])(
    'that the centre refuses for good with %d is marked, shown, exported, and not offered again',
    async (status, code) => {
      const [device, shelf, , world] = await withShelf();
      const photo = await device.attachPhoto(picture(big));
      const { answer } = world;
      world.answer = (asked) =>
        asked.method === 'POST' && asked.path === '/v1/blob' ? problem(status, code) : answer(asked);
      await feedback(device, photo);
      await until(() => expect(device.status).toMatchObject({ photosWaiting: 0, photosFailed: 1, syncing: false }));
      world.answer = answer;
      const asked = world.asked.length;
      device.syncNow();
      await until(() => expect(world.asked.length).toBeGreaterThan(asked));
      await until(() => expect(device.status.syncing).toBe(false));
      expect(shelf.posts).toBe(0);
      expect(JSON.parse(await (await device.exportUnsent()).text()).photos).toMatchObject([{ sha256: photo.sha256 }]);
      expect((await device.photo(photo.sha256))!.size).toBe(big);
    },
  );

  test('goes into the file of unsent work, with its bytes', async () => {
    const [device, , , world] = await withShelf();
    const photo = await device.attachPhoto(picture(1_000));
    world.reachable = false;
    await feedback(device, photo);
    const file = JSON.parse(await (await device.exportUnsent()).text());
    expect(file.photos).toMatchObject([{ sha256: photo.sha256, size: 1_000, type: 'image/jpeg' }]);
    const bytes = Buffer.from(file.photos[0].base64, 'base64');
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(photo.sha256);
  });

  test('too large for the file is named there, and it says so', async () => {
    const blob = new Blob([new Uint8Array(EXPORT_PHOTO_BYTES_MAX + 1)]);
    const small = new Blob(['abc']);
    const photos = [blob, small, null].map((one, i) => ({ sha256: String(i), size: 9, type: 'image/jpeg', blob: one }));
    const parts = {
      identity: {} as Identity,
      publicKey: '',
      unsent: [],
      damaged: [],
      photos,
      now: 0,
      sign: async () => '',
    };
    const file = JSON.parse(await (await exportFile(parts)).text());
    expect(file.photos.map((one: Value) => [one.sha256, one.base64 ?? null])).toEqual([
      ['0', null],
      ['1', 'YWJj'],
      ['2', null],
    ]);
    expect(file.photos[0].note).toContain('hash and size only');
  });

  test('makes way for anything urgent, and continues afterwards', async () => {
    const [device, shelf, centre] = await withShelf();
    const photo = await device.attachPhoto(picture(big));
    let stuck = false;
    shelf.trouble.push(() => {
      stuck = true;
      return new Promise(() => undefined);
    });
    await feedback(device, photo);
    await until(() => expect(stuck).toBe(true));
    await device.write('target.step', [step('a')]);
    await until(() => expect(centre.pushed.map((one) => one.lane)).toEqual([1, 0]));
    await until(() => expect(shelf.bytes.length).toBe(big));
    expect(shelf.sha256).toBe(photo.sha256);
  });

  test('of somebody else is fetched once, checked, and null when it is out of reach', async () => {
    const [device, shelf, , world] = await withShelf();
    shelf.bytes = Buffer.from('their picture');
    expect(await (await device.photo(shelf.sha256))!.text()).toBe('their picture');
    const asked = world.asked.length;
    await device.photo(shelf.sha256);
    expect(world.asked.length).toBe(asked);
    expect(await device.photo('0'.repeat(64))).toBeNull();
    world.reachable = false;
    expect(await device.photo('1'.repeat(64))).toBeNull();
  });
});
