/** Photos go to the centre in small chunks that can be resumed (tus 1.0), and make way for anything urgent. */

import { BLOB_CHUNK_BYTES_MAX } from '../core/contract.ts';
import { utf8 } from '../core/sha256.ts';
import type { BlobRecord } from '../store/database.ts';
import type { Store } from '../store/store.ts';
import { ProblemError, Unreachable, type Api, type Call } from './api.ts';
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
  ports: Pick<Ports, 'now' | 'subtle'>;
  api: Api;
  store: Store;
  changed: () => void;
}

/** Where an upload stands: its address at the centre and how many bytes are there. */
interface Part {
  url: string;
  offset: number;
}

export class Uploader {
  /** Photos of settled mutations that the centre does not have yet, and their bytes. */
  waiting = { count: 0, bytes: 0 };
  private readonly parts: UploadParts;
  private readonly rate = new Rate(FIRST_RATE_BYTES_PER_MS);
  private running = false;
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
    if (this.running) return;
    this.running = true;
    try {
      for (const record of await this.count()) {
        if (this.mustWait()) break;
        await this.attempt(record);
        await this.count();
      }
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error; // The next sync that succeeds starts it again.
    } finally {
      this.running = false;
    }
  }

  /** The photos that wait; those of mutations still in the outbox come later than their words. */
  async count(): Promise<BlobRecord[]> {
    const { store, changed } = this.parts;
    const every = await store.blobs.waiting();
    const unsettled = new Set(store.outbox.filter((one) => one.held === null).flatMap((one) => one.photos));
    this.waiting = { count: every.length, bytes: every.reduce((sum, one) => sum + one.size, 0) };
    changed();
    return every.filter((one) => !unsettled.has(one.sha256));
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
    const part = await this.parts.api.ask({ method: 'POST', path: '/v1/blob', headers }, (response) => ({
      url: response.headers.get('Location') ?? '',
      offset: Number(response.headers.get('Upload-Offset') ?? 0),
    }));
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

function offsetOf(response: Response): number {
  return Number(response.headers.get('Upload-Offset') ?? 0);
}

/** Somebody else's photo from the centre; null when it is not there or not for this device. */
export async function fetchPhoto(
  { api, ports, store }: Omit<UploadParts, 'changed'>,
  sha256: string,
): Promise<Blob | null> {
  try {
    const blob = await api.ask({ method: 'GET', path: `/v1/blob/${sha256}` }, (response) => response.blob());
    if ((await sha256OfBlob(ports, blob)) !== sha256) return null;
    await store.blobs.add({ sha256, blob, size: blob.size, type: blob.type, state: 'fetched', upload: null });
    return blob;
  } catch (error) {
    if (error instanceof ProblemError || error instanceof Unreachable) return null;
    throw error;
  }
}
