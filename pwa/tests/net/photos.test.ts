/** Photos take their turn beside everything else, are told of until the centre has them, and are not sent spoilt. */

import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Change } from '../../src/core/contract.ts';
import type { Device } from '../../src/net/device.ts';
import type { Photo } from '../../src/net/types.ts';
import { UnsentWork } from '../../src/store/store.ts';
import { T, databaseOf, row } from '../store/world.ts';
import { Centre, World, enrolled, problem, until, type Asked } from './world.ts';

afterEach(() => void vi.restoreAllMocks());

const SIZE = 200_000;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const picture = (seed: number): Blob => new Blob([Uint8Array.from({ length: SIZE }, (_, i) => (i * 31 + seed) % 251)]);

interface Upload {
  sha256: string;
  size: number;
  bytes: Buffer;
}

/** The part of the centre that takes photos, each until it is whole and gives its hash. */
class Shelf {
  readonly uploads: Upload[] = [];
  chunks = 0;
  trouble: (asked: Asked) => Response | Promise<Response> | null = () => null;

  constructor(world: World, centre: Centre) {
    world.answer = (asked) => (asked.path.startsWith('/v1/blob') ? this.answer(asked) : centre.answer(asked));
  }

  /** Hashes of what is here in full. */
  get whole(): string[] {
    return this.uploads.filter(({ bytes, size }) => bytes.length === size).map(({ bytes }) => sha256(bytes));
  }

  private answer(asked: Asked): Response | Promise<Response> {
    const { method, headers, body, path } = asked;
    if (method === 'PATCH') this.chunks++;
    const trouble = this.trouble(asked);
    if (trouble) return trouble;
    if (method === 'POST') return this.begin(headers['Upload-Metadata']!, Number(headers['Upload-Length']));
    const upload = this.uploads[Number(path.split('/').pop())]!;
    if (method === 'HEAD') return this.stands(upload, 200);
    if (Number(headers['Upload-Offset']) !== upload.bytes.length) return problem(409, 'upload_offset');
    upload.bytes = Buffer.concat([upload.bytes, Buffer.from(body as ArrayBuffer)]);
    if (upload.bytes.length < upload.size || sha256(upload.bytes) === upload.sha256) return this.stands(upload, 204);
    upload.bytes = Buffer.alloc(0);
    return problem(460, 'upload_checksum');
  }

  private begin(metadata: string, size: number): Response {
    const named = Buffer.from(/sha256 (\S+?),/.exec(metadata)![1]!, 'base64').toString();
    const known = this.uploads.find((one) => one.sha256 === named);
    if (known) return this.stands(known, 201);
    const upload = { sha256: named, size, bytes: Buffer.alloc(0) };
    this.uploads.push(upload);
    return this.stands(upload, 201);
  }

  private stands(upload: Upload, status: number): Response {
    const Location = `/v1/blob/u/${this.uploads.indexOf(upload)}`;
    return new Response(null, { status, headers: { 'Upload-Offset': String(upload.bytes.length), Location } });
  }
}

interface Scene {
  device: Device;
  shelf: Shelf;
  centre: Centre;
  world: World;
}

/** A device whose camera gives pictures as they are. */
async function scene(kind = 'phone'): Promise<Scene> {
  const world = new World();
  const centre = new Centre(world);
  centre.enrolled = { kind };
  const shelf = new Shelf(world, centre);
  const ports = world.ports.bind(world);
  world.ports = () => ({ ...ports(), shrink: async (given, edge) => given.slice(0, edge < 1_600 ? 99 : SIZE) });
  const [device] = await enrolled(world, centre);
  return { device, shelf, centre, world };
}

const feedback = (id: string, photos: Photo[]): Change => {
  const fields = { target: 't1', directive: 'd1', unit: 'u1', round: 1, at: T, kind: 'progress', text: '好', photos };
  return { op: 'create', entity: 'feedback', id, fields };
};
const tell = (device: Device, id: string, ...photos: Photo[]): Promise<string> =>
  device.write('feedback.add', [feedback(id, photos)]);
const idle = (device: Device): Promise<void> => until(() => expect(device.status.syncing).toBe(false));
const syncs = (world: World): number => world.asked.filter(({ path }) => path === '/v1/sync').length;
const network = (): Promise<Response> => Promise.reject(new TypeError('network'));
const put = (asked: Asked): boolean => asked.method === 'PATCH';

/** The photo's words are at the centre, and the photo is not what it was. */
async function spoiltOnDisk({ device, world, shelf }: Scene): Promise<Photo> {
  const photo = await device.attachPhoto(picture(1));
  const { blobs } = databaseOf(await world.disk.store());
  await blobs.update(photo.sha256, { blob: new Blob([new Uint8Array(SIZE)]) });
  await tell(device, 'f1', photo);
  await until(() => expect(device.status).toMatchObject({ waiting: 0, photosSpoilt: 1, photosWaiting: 0 }));
  expect(shelf.chunks).toBe(0);
  return photo;
}

describe('a photo that the disk has spoilt', () => {
  test('is not sent nor tried again, and its words are at the centre unharmed', async () => {
    const all = await scene();
    const { device, shelf, centre, world } = all;
    const photo = await spoiltOnDisk(all);
    for (let i = 0; i < 3; i++) {
      const before = syncs(world);
      world.time.pass(60_000);
      await until(() => expect(syncs(world)).toBeGreaterThan(before));
      await idle(device);
    }
    expect([shelf.chunks, shelf.uploads]).toEqual([0, []]);
    expect(centre.pushed.map(({ changes }) => changes[0]!.fields.text)).toEqual(['好']);
    expect(device.photoState(photo.sha256)).toBe('spoilt');
    expect(device.photosOwed()).toMatchObject([{ sha256: photo.sha256, state: 'spoilt', row: { id: 'f1' } }]);
  });

  test('stays until a person has seen it, over a restart and in the file, and keeps the device', async () => {
    const all = await scene();
    const { sha256 } = await spoiltOnDisk(all);
    all.device.close();
    const again = await all.world.open();
    expect(again.status.photosSpoilt).toBe(1);
    const [told] = JSON.parse(await (await again.exportUnsent()).text()).photos;
    expect(told).toMatchObject({ sha256, base64: expect.any(String) });
    expect(told.note).toContain('damaged');
    await expect(again.enrol('2', 'x')).rejects.toBeInstanceOf(UnsentWork);
    await again.dismissPhoto(sha256);
    expect([again.status.photosSpoilt, again.photosOwed(), again.photoState(sha256)]).toEqual([0, [], null]);
    await again.enrol('2', 'x');
  });

  test('goes once the same picture was taken in again', async () => {
    const all = await scene();
    const { device, shelf } = all;
    const photo = await spoiltOnDisk(all);
    await device.attachPhoto(picture(1));
    expect(device.status).toMatchObject({ photosSpoilt: 0, photosWaiting: 1 });
    device.syncNow();
    await until(() => expect(shelf.whole).toEqual([photo.sha256]));
  });

  test('does not hold up the others', async () => {
    const all = await scene();
    await spoiltOnDisk(all);
    const good = await all.device.attachPhoto(picture(2));
    await tell(all.device, 'f2', good);
    await until(() => expect(all.shelf.whole).toEqual([good.sha256]));
  });
});

describe('a photo that the browser cannot read', () => {
  const unreadable = (times: number): void => {
    const real = Blob.prototype.arrayBuffer;
    let left = times;
    vi.spyOn(Blob.prototype, 'arrayBuffer').mockImplementation(function (this: Blob) {
      return left-- > 0 ? Promise.reject(new DOMException('gone', 'NotReadableError')) : real.call(this);
    });
  };

  test('is read anew from the disk', async () => {
    const { device, shelf } = await scene();
    const photo = await device.attachPhoto(picture(1));
    unreadable(1);
    await tell(device, 'f1', photo);
    await until(() => expect(shelf.whole).toEqual([photo.sha256]));
  });

  test('from there either is spoilt', async () => {
    const { device, shelf } = await scene();
    const photo = await device.attachPhoto(picture(1));
    unreadable(2);
    await tell(device, 'f1', photo);
    await until(() => expect(device.photoState(photo.sha256)).toBe('spoilt'));
    expect(shelf.chunks).toBe(0);
  });
});

describe('a photo is tried again in a while, without waiting for the next sync,', () => {
  test('when the network breaks, each time later, and at once when a sync succeeds', async () => {
    const { device, shelf, world } = await scene();
    shelf.trouble = (asked) => (put(asked) ? network() : null);
    const photo = await device.attachPhoto(picture(1));
    await tell(device, 'f1', photo);
    await until(() => expect(shelf.chunks).toBe(1));
    await idle(device);
    const before = syncs(world);
    for (const [ms, chunks] of [
      [500, 2],
      [1_000, 3],
      [2_000, 4],
    ] as const) {
      world.time.pass(ms - 1);
      expect(shelf.chunks).toBe(chunks - 1);
      world.time.pass(1);
      await until(() => expect(shelf.chunks).toBe(chunks));
      await until(() => expect(world.time.wait).toBeLessThanOrEqual(2 * ms));
    }
    expect(syncs(world)).toBe(before);
    shelf.trouble = () => null;
    device.syncNow();
    await until(() => expect(shelf.whole).toEqual([photo.sha256]));
  });

  test('when the centre puts it off, and the others go meanwhile', async () => {
    const { device, shelf, world } = await scene();
    const photos = [await device.attachPhoto(picture(1)), await device.attachPhoto(picture(2))];
    shelf.trouble = ({ path, method }) => (method !== 'POST' && path.endsWith('/0') ? problem(500, 'internal') : null);
    await tell(device, 'f1', ...photos);
    await until(() => expect(shelf.whole.length).toBe(1));
    await idle(device);
    shelf.trouble = () => null;
    const before = syncs(world);
    await until(() => expect(world.time.wait).toBe(500));
    world.time.pass(500);
    await until(() => expect(shelf.whole.length).toBe(2));
    expect(syncs(world)).toBe(before);
  });

  test('when the centre throws away what it got again and again, and not for ever at once', async () => {
    const { device, shelf, world } = await scene();
    const photo = await device.attachPhoto(picture(1));
    let thrown = 0;
    shelf.trouble = (asked) => {
      const [upload] = shelf.uploads;
      if (!put(asked) || upload!.bytes.length + (asked.body as ArrayBuffer).byteLength < SIZE) return null;
      upload!.bytes = Buffer.alloc(0);
      if (++thrown > 20) throw new Error('for ever');
      return problem(460, 'upload_checksum');
    };
    await tell(device, 'f1', photo);
    await until(() => expect(thrown).toBeGreaterThan(0));
    await until(() => expect(world.time.wait).toBe(500));
    expect([thrown, device.status.photosWaiting]).toEqual([4, 1]);
  });

  test('but not by a tab that was closed', async () => {
    const { device, shelf, world } = await scene();
    shelf.trouble = (asked) => (put(asked) ? network() : null);
    await tell(device, 'f1', await device.attachPhoto(picture(1)));
    await until(() => expect(shelf.chunks).toBe(1));
    await idle(device);
    await until(() => expect(world.time.wait).toBe(500));
    device.close();
    expect(world.time.wait).toBe(Infinity);
  });
});

describe('a photo has its turn', () => {
  test('while pokes come so fast that one sync follows the other', async () => {
    const { device, shelf, centre, world } = await scene();
    const photo = await device.attachPhoto(picture(1));
    let poked = 0;
    centre.next = () => {
      if (shelf.whole.length) return {};
      if (++poked > 500) throw new Error('no turn');
      world.sockets.at(-1)!.say({ scope: 'unit/u1', lane: 1, seq: 1_000_000 + poked, prev: 0 });
      return {};
    };
    await tell(device, 'f1', photo);
    await until(() => expect(shelf.whole).toEqual([photo.sha256]));
  });

  test('while a receipt of a routine order waits for its own time', async () => {
    const { device, shelf, centre, world } = await scene('tablet');
    world.chance = 0.99;
    device.close();
    const tablet = await world.open();
    await until(() => expect(tablet.status).toMatchObject({ leader: true, syncing: false }));
    const order = { incident: 'i1', kind: 'dispatch', urgency: 'routine', version: 1, text: '出动', clocks: {}, at: T };
    const target = { directive: 'd1', incident: 'i1', unit: 'u1', lead: true };
    const photo = await tablet.attachPhoto(picture(1));
    const rows = [row('directive', 'd1', 4, order), row('target', 't1', 5, target)];
    centre.log.push(...rows.map((one, i) => ({ ...one, seq: centre.seq + i + 1 })));
    centre.seq += 2;
    await tell(tablet, 'f1', photo);
    await until(() => expect(tablet.outbox().map(({ intent }) => intent)).toEqual(['target.step']));
    await until(() => expect(shelf.whole).toEqual([photo.sha256]));
    expect(tablet.outbox().map(({ intent }) => intent)).toEqual(['target.step']);
  });

  test('when it was saved while another one is under way', async () => {
    const { device, shelf, world } = await scene();
    let release = (): void => undefined;
    shelf.trouble = (asked) => {
      if (!put(asked) || shelf.chunks > 1) return null;
      return new Promise((resolve) => (release = () => resolve(problem(409, 'upload_offset'))));
    };
    const [first, second] = [await device.attachPhoto(picture(1)), await device.attachPhoto(picture(2))];
    await tell(device, 'f1', first);
    await until(() => expect(shelf.chunks).toBe(1));
    const store = await world.disk.store();
    await databaseOf(store).blobs.update(second.sha256, { state: 'waiting' });
    await store.dismiss(9, 9); // All tabs hear that something is another now.
    await until(() => expect(device.status.photosWaiting).toBe(2));
    const before = syncs(world);
    release();
    await until(() => expect(shelf.whole.length).toBe(2));
    expect(syncs(world)).toBe(before);
  });
});

describe('that all is at the centre', () => {
  const unsent = ({ status }: Device): number => status.waiting + status.photosWaiting;

  test('is never said between the verdict of the words and the last byte of their photo', async () => {
    const { device, shelf } = await scene();
    const photo = await device.attachPhoto(picture(1));
    await tell(device, 'f1', photo);
    const early: string[] = [];
    const look = (): void => {
      if (unsent(device) === 0 && !shelf.whole.length) early.push(JSON.stringify(device.status));
    };
    device.subscribe(look);
    await until(() => {
      look();
      expect(unsent(device)).toBe(0);
    });
    expect(early).toEqual([]);
    expect(shelf.whole).toEqual([photo.sha256]);
  });

  test('is said neither at the start nor in a second tab before it is so', async () => {
    const { device, shelf, world } = await scene();
    shelf.trouble = (asked) => (put(asked) ? network() : null);
    await tell(device, 'f1', await device.attachPhoto(picture(1)));
    await until(() => expect(device.status).toMatchObject({ waiting: 0, photosWaiting: 1, photoBytesWaiting: SIZE }));
    const second = await world.open();
    expect(unsent(second)).toBe(1);
    device.close();
    second.close();
    expect(unsent(await world.open())).toBe(1);
  });
});
