/** Photos go to the centre in small chunks that can be resumed (tus 1.0), and make way for anything urgent. */

import { BLOB_CHUNK_BYTES_MAX } from '../core/contract.ts';
import type { Saved } from '../core/outbox.ts';
import { utf8 } from '../core/sha256.ts';
import type { BlobRecord } from '../store/database.ts';
import { StoreFull } from '../store/guard.ts';
import type { Store } from '../store/store.ts';
import { ProblemError, Unreachable, type Api, type Call } from './api.ts';
import { BACKOFF_MS_MAX, backoffMs } from './backoff.ts';
import { base64 } from './base64.ts';
import { bytesOf, sha256OfBytes } from './photo.ts';
import type { Ports } from './ports.ts';
import { Rate, TRANSFER_MS } from './rate.ts';

export const CHUNK_BYTES_MIN = 16 * 1024;
const FIRST_RATE_BYTES_PER_MS = 32;
const TRIES_MAX = 4;
const URGENT_LANE_MAX = 1;
const TUS = { 'Tus-Resumable': '1.0.0' };

export interface UploadParts {
  ports: Pick<Ports, 'now' | 'subtle' | 'random' | 'later'>;
  api: Api;
  store: Store;
  /** How long a mutation saved at this time waits yet, in ms. */
  restMs: (saved: Saved, at: number) => number;
  /** Its time has come: `run` is to be called. */
  again: () => void;
}

/** Where an upload stands: its address at the centre and how many bytes are there. */
interface Part {
  url: string;
  offset: number;
}

export class Uploader {
  private readonly parts: UploadParts;
  private readonly rate = new Rate(FIRST_RATE_BYTES_PER_MS);
  private running = false;
  private ended = false;
  private failures = 0;
  /** After a stall nothing is tried before this time of the device's clock. */
  private restUntil = 0;
  private abort: AbortController | null = null;
  private cancelRetry: () => void = () => undefined;

  constructor(parts: UploadParts) {
    this.parts = parts;
  }

  /** Work on lane 0 or 1 waits: a chunk under way is given up and sent again afterwards. */
  giveWay(): void {
    this.abort?.abort();
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.ended = true;
    this.cancelRetry();
    this.giveWay();
  }

  /**
   * Uploads what may go, one after the other, until all is there or something more urgent waits. What failed is tried
   * again in a while; a sync that succeeds may begin it earlier.
   */
  async run(): Promise<void> {
    if (this.running || this.ended || this.resting()) return;
    this.cancelRetry();
    this.running = true;
    try {
      if (!(await this.uploadAll())) this.tryLater();
    } catch (error) {
      if (error instanceof Stalled) this.restUntil = this.parts.ports.now() + this.tryLater();
      else if (error instanceof Unreachable) this.tryLater();
      else if (!(error instanceof GaveWay)) throw error; // The sync of what was urgent starts it again.
    } finally {
      this.running = false;
    }
  }

  /** False when the centre has put one of them off. */
  private async uploadAll(): Promise<boolean> {
    const tried = new Set<string>();
    let done = true;
    for (let next = this.next(tried); next && !this.mustWait(); next = this.next(tried)) {
      tried.add(next);
      done = (await this.attempt(next)) && done;
    }
    return done;
  }

  /** A photo that waits; those of mutations still in the outbox come later than their words. */
  private next(tried: ReadonlySet<string>): string | undefined {
    const { outbox, photos } = this.parts.store;
    const unsettled = new Set(outbox.filter((one) => one.held === null).flatMap((one) => one.photos));
    const open = photos.filter(({ state, sha256 }) => state === 'waiting' && !unsettled.has(sha256));
    return open.find(({ sha256 }) => !tried.has(sha256))?.sha256;
  }

  private resting(): boolean {
    const left = this.restUntil - this.parts.ports.now();
    return left > 0 && left <= BACKOFF_MS_MAX; // More than that, and the clock was set back.
  }

  /** How long it will be. */
  private tryLater(): number {
    const { random, later } = this.parts.ports;
    const ms = backoffMs(this.failures++, random());
    if (!this.ended) this.cancelRetry = later(ms, this.parts.again);
    return ms;
  }

  private mustWait(): boolean {
    const { store, restMs } = this.parts;
    const urgent = store.outbox.filter((one) => one.lane <= URGENT_LANE_MAX && one.held === null);
    return urgent.some((one) => restMs(one.saved, one.at) === 0);
  }

  /** One photo. A refusal of this one must not hold up the others. False when it must be tried again. */
  private async attempt(sha256: string): Promise<boolean> {
    const { blobs } = this.parts.store;
    const record = await blobs.get(sha256);
    const bytes = record && (await this.wholeBytes(record));
    try {
      if (record && bytes) return await this.upload(record, bytes);
      await blobs.spoilt(sha256);
      return true;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      if (!isForGood(error)) return false;
      await blobs.refused(sha256);
      return true;
    }
  }

  /** The bytes that the words name; null where the disk has spoilt them. */
  private async wholeBytes({ sha256, blob }: BlobRecord): Promise<ArrayBuffer | null> {
    const { ports, store } = this.parts;
    // Some browsers cannot read a file that lay long in memory, and can when it is asked for anew.
    const bytes = (await bytesOf(blob)) ?? (await bytesOf((await store.blobs.get(sha256))?.blob ?? null));
    return bytes && (await sha256OfBytes(ports, bytes)) === sha256 ? bytes : null;
  }

  private async upload(record: BlobRecord, bytes: ArrayBuffer): Promise<boolean> {
    let part = await this.begin(record, bytes.byteLength);
    let furthest = part.offset;
    for (let tries = 0; part.offset < bytes.byteLength;) {
      if (this.mustWait()) return true;
      const offset = await this.send(bytes, part);
      if (offset === null && ++tries >= TRIES_MAX) return false;
      part = { ...part, offset: offset ?? (await this.standing(part.url)) };
      // What the centre threw away and gets again is no progress.
      if (part.offset <= furthest) continue;
      [furthest, tries] = [part.offset, 0];
    }
    await this.parts.store.blobs.sent(record.sha256);
    return true;
  }

  /** Continues where the centre says an earlier try ended, else asks for a new upload. */
  private async begin(record: BlobRecord, size: number): Promise<Part> {
    if (record.upload) {
      try {
        return { url: record.upload, offset: await this.standing(record.upload) };
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error; // The centre has forgotten it.
      }
    }
    const metadata = `sha256 ${base64(utf8(record.sha256))},type ${base64(utf8(record.type))}`;
    const headers = { ...TUS, 'Upload-Length': String(size), 'Upload-Metadata': metadata };
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
  private async send(bytes: ArrayBuffer, part: Part): Promise<number | null> {
    const { ports, api } = this.parts;
    const size = this.rate.bytes(CHUNK_BYTES_MIN, BLOB_CHUNK_BYTES_MAX);
    const chunk = bytes.slice(part.offset, part.offset + size);
    const { signal } = (this.abort = new AbortController());
    try {
      const call = await this.patch(part, chunk, signal);
      if (signal.aborted) throw new GaveWay();
      const sentMs = ports.now();
      const offset = await api.ask(call, offsetOf);
      if (offset <= part.offset) throw new Stalled('the offset did not move');
      this.failures = 0;
      this.rate.measured(chunk.byteLength, ports.now() - sentMs);
      return offset;
    } catch (error) {
      if (error instanceof ProblemError && (error.status === 409 || error.status === 460)) return null;
      if (signal.aborted) throw new GaveWay();
      if (error instanceof Unreachable) this.rate.failed();
      throw error;
    } finally {
      this.abort = null;
    }
  }

  private async patch({ url, offset }: Part, chunk: ArrayBuffer, signal: AbortSignal): Promise<Call> {
    const digest = base64(new Uint8Array(await this.parts.ports.subtle.digest('SHA-256', chunk)));
    const headers = {
      ...TUS,
      'Content-Type': 'application/offset+octet-stream',
      'Upload-Offset': String(offset),
      'Upload-Checksum': `sha256 ${digest}`,
    };
    return { method: 'PATCH', path: url, body: chunk, headers, timeoutMs: TRANSFER_MS * 10, signal };
  }
}

/** A success that got no further: something between here and the centre answers for it. */
class Stalled extends Error {}

/** The chunk under way was given up for something urgent. */
class GaveWay extends Error {}

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
  { api, ports, store }: { api: Api; ports: Pick<Ports, 'subtle'>; store: Store },
  sha256: string,
): Promise<Blob | null> {
  try {
    const blob = await api.ask({ method: 'GET', path: `/v1/blob/${sha256}` }, (response) => response.blob());
    if ((await sha256OfBytes(ports, await blob.arrayBuffer())) !== sha256) return null;
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
