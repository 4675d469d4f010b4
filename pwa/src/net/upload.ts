/** Photos go to the centre in small chunks that can be resumed (tus 1.0), and make way for anything urgent. */

import { BLOB_CHUNK_BYTES_MAX } from '../core/contract.ts';
import { utf8 } from '../core/sha256.ts';
import type { BlobRecord } from '../store/database.ts';
import { StoreFull } from '../store/guard.ts';
import type { Store } from '../store/store.ts';
import { ProblemError, Unreachable, type Api, type Call } from './api.ts';
import { BACKOFF_MS_MAX, backoffMs } from './backoff.ts';
import { base64 } from './base64.ts';
import { sha256OfBlob } from './photo.ts';
import type { Ports } from './ports.ts';
import { Rate, TRANSFER_MS } from './rate.ts';

export const CHUNK_BYTES_MIN = 16 * 1024;
const FIRST_RATE_BYTES_PER_MS = 32;
const TRIES_MAX = 4;
const URGENT_LANE_MAX = 1;
const TUS = { 'Tus-Resumable': '1.0.0' };

export interface UploadParts {
  ports: Pick<Ports, 'now' | 'subtle' | 'random'>;
  api: Api;
  store: Store;
  changed: () => void;
}

/** Photos that the centre does not have yet, and how many it refused for good. */
export interface PhotosWaiting {
  count: number;
  bytes: number;
  failed: number;
  hashes: string[];
}

/** Where an upload stands: its address at the centre and how many bytes are there. */
interface Part {
  url: string;
  offset: number;
}

export class Uploader {
  waiting: PhotosWaiting = { count: 0, bytes: 0, failed: 0, hashes: [] };
  private readonly parts: UploadParts;
  private readonly rate = new Rate(FIRST_RATE_BYTES_PER_MS);
  private running = false;
  private stalls = 0;
  /** After a stall nothing is tried before this time of the device's clock. */
  private restUntil = 0;
  private abort: AbortController | null = null;

  constructor(parts: UploadParts) {
    this.parts = parts;
  }

  /** Work on lane 0 or 1 waits: a chunk under way is given up and sent again afterwards. */
  giveWay(): void {
    this.abort?.abort();
  }

  /** Uploads what may go, one after the other, until all is there or something more urgent waits. */
  async run(): Promise<void> {
    if (this.running || this.resting()) return;
    this.running = true;
    try {
      for (const record of await this.count()) {
        if (this.mustWait()) break;
        await this.attempt(record);
        await this.count();
      }
    } catch (error) {
      if (error instanceof Stalled) this.rest();
      else if (!(error instanceof Unreachable)) throw error; // The next sync that succeeds starts it again.
    } finally {
      this.running = false;
    }
  }

  /** The photos that wait; those of mutations still in the outbox come later than their words. */
  async count(): Promise<BlobRecord[]> {
    const { store, changed } = this.parts;
    const every = await store.blobs.waiting();
    const unsettled = new Set(store.outbox.filter((one) => one.held === null).flatMap((one) => one.photos));
    const bytes = every.reduce((sum, one) => sum + one.size, 0);
    const hashes = every.map(({ sha256 }) => sha256);
    this.waiting = { count: every.length, bytes, failed: await store.blobs.countFailed(), hashes };
    changed();
    return every.filter((one) => !unsettled.has(one.sha256));
  }

  private resting(): boolean {
    const left = this.restUntil - this.parts.ports.now();
    return left > 0 && left <= BACKOFF_MS_MAX; // More than that, and the clock was set back.
  }

  private rest(): void {
    const { now, random } = this.parts.ports;
    this.restUntil = now() + backoffMs(this.stalls++, random());
  }

  private mustWait(): boolean {
    return this.parts.store.outbox.some((one) => one.lane <= URGENT_LANE_MAX && one.held === null);
  }

  /** One photo. A refusal of this one must not hold up the others. */
  private async attempt(record: BlobRecord): Promise<void> {
    try {
      await this.upload(record);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      if (isForGood(error)) await this.parts.store.blobs.refused(record.sha256);
    }
  }

  private async upload(record: BlobRecord): Promise<void> {
    let part = await this.begin(record);
    for (let tries = 0; part.offset < record.size;) {
      if (this.mustWait()) return;
      const offset = await this.send(record, part);
      if (offset === null && ++tries >= TRIES_MAX) return;
      if (offset !== null) tries = 0;
      part = { ...part, offset: offset ?? (await this.standing(part.url)) };
    }
    await this.parts.store.blobs.sent(record.sha256);
  }

  /** Continues where the centre says an earlier try ended, else asks for a new upload. */
  private async begin(record: BlobRecord): Promise<Part> {
    if (record.upload) {
      try {
        return { url: record.upload, offset: await this.standing(record.upload) };
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error; // The centre has forgotten it.
      }
    }
    const metadata = `sha256 ${base64(utf8(record.sha256))},type ${base64(utf8(record.type))}`;
    const headers = { ...TUS, 'Upload-Length': String(record.size), 'Upload-Metadata': metadata };
    const part = await this.parts.api.ask({ method: 'POST', path: '/v1/blob', headers }, (response) => {
      const url = response.headers.get('Location');
      if (!url) throw new Unreachable('no place for the photo');
      return { url, offset: response.headers.has('Upload-Offset') ? offsetOf(response) : 0 };
    });
    await this.parts.store.blobs.continueAt(record.sha256, part.url);
    return part;
  }

  private standing(url: string): Promise<number> {
    return this.parts.api.ask({ method: 'HEAD', path: url, headers: TUS }, offsetOf);
  }

  /** Sends the next chunk. The new offset; null when the centre stands elsewhere or got other bytes. */
  private async send(record: BlobRecord, part: Part): Promise<number | null> {
    const { ports, api } = this.parts;
    const size = this.rate.bytes(CHUNK_BYTES_MIN, BLOB_CHUNK_BYTES_MAX);
    const chunk = await record.blob.slice(part.offset, part.offset + size).arrayBuffer();
    const digest = base64(new Uint8Array(await ports.subtle.digest('SHA-256', chunk)));
    const abort = (this.abort = new AbortController());
    const call: Call = {
      method: 'PATCH',
      path: part.url,
      body: chunk,
      headers: {
        ...TUS,
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': String(part.offset),
        'Upload-Checksum': `sha256 ${digest}`,
      },
      timeoutMs: TRANSFER_MS * 10,
      signal: abort.signal,
    };
    const sentMs = ports.now();
    try {
      const offset = await api.ask(call, offsetOf);
      if (offset <= part.offset) throw new Stalled('the offset did not move');
      this.stalls = 0;
      this.rate.measured(chunk.byteLength, ports.now() - sentMs);
      return offset;
    } catch (error) {
      if (error instanceof ProblemError && (error.status === 409 || error.status === 460)) return null;
      if (error instanceof Unreachable && !abort.signal.aborted) this.rate.failed();
      throw error;
    } finally {
      this.abort = null;
    }
  }
}

/** A success that got no further, or names no offset: something between here and the centre answers for it. */
class Stalled extends Error {}

function offsetOf(response: Response): number {
  const text = response.headers.get('Upload-Offset') ?? '';
  if (!/^\d{1,15}$/.test(text)) throw new Unreachable('no offset');
  return Number(text);
}

/** The centre will give the same answer each time: this photo is too large, of a wrong kind, or not understood. */
function isForGood({ status, code }: ProblemError): boolean {
  return [400, 413, 415].includes(status) && code !== 'internal';
}

/** Somebody else's photo from the centre; null when it is not there or not for this device. */
export async function fetchPhoto(
  { api, ports, store }: Omit<UploadParts, 'changed'>,
  sha256: string,
): Promise<Blob | null> {
  try {
    const blob = await api.ask({ method: 'GET', path: `/v1/blob/${sha256}` }, (response) => response.blob());
    if ((await sha256OfBlob(ports, blob)) !== sha256) return null;
    await keepCopy(store, { sha256, blob, size: blob.size, type: blob.type, state: 'fetched', upload: null });
    return blob;
  } catch (error) {
    if (error instanceof ProblemError || error instanceof Unreachable) return null;
    throw error;
  }
}

/** A photo that finds no room is shown all the same. */
async function keepCopy(store: Store, record: BlobRecord): Promise<void> {
  await store.blobs.add(record).catch((error: unknown) => {
    if (!(error instanceof StoreFull)) throw error;
  });
}
