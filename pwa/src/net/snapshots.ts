/** First answers in bulk: files of rows that are the same for everybody, fetched part by part. */

import type { Snapshot, SnapshotFile, SnapshotPart } from '../core/contract.ts';
import { hex } from '../core/sha256.ts';
import type { Store } from '../store/store.ts';
import { ProblemError, REQUEST_MS_MAX, Unreachable, type Api } from './api.ts';
import type { Ports } from './ports.ts';
import { snapshotFileOf } from './shape.ts';

/** A slower line than this is given up, and the parts that came are kept. */
const BYTES_PER_MS_MIN = 4;

export interface SnapshotParts {
  ports: Pick<Ports, 'subtle' | 'gunzip'>;
  api: Api;
  store: Store;
}

export class Snapshots {
  private readonly parts: SnapshotParts;
  private running = false;

  constructor(parts: SnapshotParts) {
    this.parts = parts;
  }

  /**
   * Stages what these snapshots hold. False when the centre has replaced a part meanwhile: it must be asked again, and
   * the others are kept for as long as they are offered. A second call while one is under way leaves the work to it.
   */
  async fetch(snapshots: readonly Snapshot[]): Promise<boolean> {
    if (this.running) return true;
    this.running = true;
    try {
      let whole = true;
      for (const snapshot of [...snapshots].sort((a, b) => a.lane - b.lane)) {
        whole = (await this.fetchOne(snapshot)) && whole;
      }
      return whole;
    } finally {
      this.running = false;
    }
  }

  /** False when a part of it is given no more. */
  private async fetchOne(snapshot: Snapshot): Promise<boolean> {
    const { store } = this.parts;
    const here = await store.partsHere(snapshot);
    let whole = true;
    for (const part of snapshot.parts.filter(({ sha256 }) => !here.has(sha256))) {
      const file = await this.file(snapshot, part).catch(noneIfGone);
      if (file) await store.stagePart(file, part.sha256);
      else whole = false;
    }
    await store.closeSnapshot(snapshot);
    return whole;
  }

  private async file(snapshot: Snapshot, { sha256, size }: SnapshotPart): Promise<SnapshotFile> {
    const { api, ports } = this.parts;
    const { gunzip, subtle } = ports;
    const headers = { Accept: gunzip ? 'application/gzip' : 'application/json' };
    const timeoutMs = REQUEST_MS_MAX + Math.ceil(size / BYTES_PER_MS_MIN);
    const call = { method: 'GET', path: `/v1/snap/${sha256}`, headers, timeoutMs };
    // Without gunzip the text comes as it is, and only the line vouches for it: the name is of the packed bytes.
    if (!gunzip) return api.ask(call, async (response) => snapshotFileOf(await response.text(), snapshot));
    return api.ask(call, async (response) => {
      const bytes = await response.arrayBuffer();
      if (hex(new Uint8Array(await subtle.digest('SHA-256', bytes))) !== sha256) throw new Unreachable('other bytes');
      return snapshotFileOf(await gunzip(bytes), snapshot);
    });
  }
}

function noneIfGone(error: unknown): null {
  if (error instanceof ProblemError && error.status === 404) return null;
  throw error;
}
