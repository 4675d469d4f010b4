/** A photo as it is stored and sent: small, without metadata, known by the hash of its bytes. */

import { THUMB_BYTES_MAX } from '../core/contract.ts';
import { hex } from '../core/sha256.ts';
import { base64 } from './base64.ts';
import type { Ports } from './ports.ts';
import type { Photo } from './types.ts';

export const EDGE_PX_MAX = 1_600;
const QUALITY = 0.82;
/** Tried in this order until the thumb is small enough. */
const THUMBS: readonly [number, number][] = [
  [320, 0.6],
  [240, 0.5],
  [160, 0.5],
  [96, 0.4],
];

export interface Prepared {
  photo: Photo;
  blob: Blob;
}

/** The picture at its final size with its hash and thumb; metadata is gone before anything is hashed. */
export async function preparePhoto(ports: Pick<Ports, 'shrink' | 'subtle'>, file: Blob): Promise<Prepared> {
  const blob = await ports.shrink(file, EDGE_PX_MAX, QUALITY);
  const sha256 = await sha256OfBytes(ports, await blob.arrayBuffer());
  const thumb = await thumbOf(ports, blob);
  return { photo: { sha256, size: blob.size, type: blob.type, thumb }, blob };
}

export async function sha256OfBytes({ subtle }: Pick<Ports, 'subtle'>, bytes: ArrayBuffer): Promise<string> {
  return hex(new Uint8Array(await subtle.digest('SHA-256', bytes)));
}

/** Null where the browser has lost them. */
export async function bytesOf(blob: Blob | null): Promise<ArrayBuffer | null> {
  try {
    return blob && (await blob.arrayBuffer());
  } catch {
    return null;
  }
}

/** A data URL of at most 8 KB of picture; empty when the picture cannot be made that small. */
async function thumbOf({ shrink }: Pick<Ports, 'shrink'>, blob: Blob): Promise<string> {
  for (const [edge, quality] of THUMBS) {
    const thumb = await shrink(blob, edge, quality);
    if (thumb.size > THUMB_BYTES_MAX) continue;
    return `data:${thumb.type};base64,${base64(new Uint8Array(await thumb.arrayBuffer()))}`;
  }
  return '';
}
