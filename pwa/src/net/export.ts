/** A file with everything that has not reached the centre, to be carried there by hand. */

import { dotOfSaved, runsToSend, type Saved } from '../core/outbox.ts';
import type { Identity } from './types.ts';

/** Tells what the file is; also to whoever opens it in an editor. */
export const EXPORT_FORMAT = 'lingda-unsent-1';

export interface ExportParts {
  identity: Identity;
  publicKey: string;
  unsent: readonly Saved[];
  now: number;
  sign: (text: string) => Promise<string>;
}

/**
 * JSON that a person can read: who, when, and each mutation. `runs` hold the exact text of each mutation with the
 * run's signature, so that the file proves itself. No token and no private key is in it.
 */
export async function exportFile(parts: ExportParts): Promise<Blob> {
  const { identity, publicKey, unsent, now, sign } = parts;
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
  return new Blob([JSON.stringify(file, null, 2)], { type: 'application/json' });
}
