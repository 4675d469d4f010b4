/** A file with everything that has not reached the centre, to be carried there by hand. */

import { dotOfSaved, runsToSend, type Saved } from '../core/outbox.ts';
import { base64 } from './base64.ts';
import { bytesOf } from './photo.ts';
import type { Sign } from './request.ts';
import type { Identity } from './types.ts';

/** Tells what the file is; also to whoever opens it in an editor. */
export const EXPORT_FORMAT = 'lingda-unsent-1';

/** Photos beyond this are only named: a file that cannot be sent helps nobody. */
export const EXPORT_PHOTO_BYTES_MAX = 25 * 1024 * 1024;
const LEFT_OUT = '照片过大或已不在本机，此处只有指纹和大小 / too large or no longer here: hash and size only';

/** Something is left of it, and may be all that anybody has. */
const SPOILT = '照片已损坏，内容与指纹不符 / damaged: the bytes do not give the hash';

/** A photo that the centre may not have; null when its bytes are not here any more. */
export interface UnsentPhoto {
  sha256: string;
  size: number;
  type: string;
  state?: string;
  blob: Blob | null;
}

export interface ExportParts {
  identity: Identity;
  publicKey: string;
  unsent: readonly Saved[];
  photos: readonly UnsentPhoto[];
  /** Records that the disk has spoilt, as they were found. */
  damaged: readonly object[];
  now: number;
  sign: Sign;
}

/**
 * JSON that a person can read: who, when, and each mutation. `runs` hold the exact text of each mutation with the
 * run's signature, so that the file proves itself; `photos` hold the bytes of what was not uploaded, `damaged` what is
 * left of records that the disk has spoilt. No token and no private key is in it.
 */
export async function exportFile(parts: ExportParts): Promise<Blob> {
  const { identity, publicKey, unsent, photos, damaged, now, sign } = parts;
  const runs = await Promise.all(
    runsToSend(unsent, unsent.length).map(async ({ lane, signing, group }) => ({
      lane,
      sig: await sign(signing),
      mutations: group.map((saved) => saved.raw),
    })),
  );
  const mutations = unsent.map((saved) => ({ dot: dotOfSaved(saved), hash: saved.hash, mutation: saved.mutation }));
  const exported = { at: now, time: new Date(now).toISOString() };
  const file = { format: EXPORT_FORMAT, exported, identity, publicKey, count: unsent.length, runs, mutations };
  const whole = { ...file, photos: await photosOf(photos), damaged };
  return new Blob([JSON.stringify(whole, null, 2)], { type: 'application/json' });
}

async function photosOf(photos: readonly UnsentPhoto[]): Promise<object[]> {
  const listed: object[] = [];
  let room = EXPORT_PHOTO_BYTES_MAX;
  for (const { sha256, size, type, state, blob } of photos) {
    const bytes = blob && blob.size <= room ? await bytesOf(blob) : null;
    if (bytes) room -= bytes.byteLength;
    const left = bytes ? { base64: base64(new Uint8Array(bytes)) } : { note: LEFT_OUT };
    listed.push({ sha256, size, type, ...left, ...(bytes && state === 'spoilt' ? { note: SPOILT } : {}) });
  }
  return listed;
}
