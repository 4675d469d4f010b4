/** Photos on disk: own ones until the centre has every byte, others' as far as they were looked at. */

import { DAY_MS } from '../core/contract.ts';
import type { BlobRecord, BlobState, Database } from './database.ts';
import { draftsOf, photosIn } from './drafts.ts';
import type { Guard } from './guard.ts';
import { OWED_STATES, paid, readOwing } from './owing.ts';

/** A photo that no form names any more stays this long. */
export const DRAFT_PHOTO_MS_MAX = 7 * DAY_MS;

/** A photo of saved words that the centre does not have, without its bytes. */
export interface OwedPhoto {
  sha256: string;
  size: number;
  state: (typeof OWED_STATES)[number];
}

export class BlobShelf {
  private readonly guard: Guard;
  /** What is owed is another now. */
  private readonly changed: () => Promise<void>;

  constructor(guard: Guard, changed: () => Promise<void>) {
    this.guard = guard;
    this.changed = changed;
  }

  get(sha256: string): Promise<BlobRecord | undefined> {
    return this.guard.run((database) => database.blobs.get(sha256));
  }

  /** Puts it down. Of bytes that lie here already nothing changes, unless the disk has spoilt or lost them. */
  async add(record: BlobRecord): Promise<void> {
    const { sha256, at } = record;
    const mended = await this.guard.run((database) =>
      database.transaction('rw', [database.blobs, database.meta], async () => {
        const here = await database.blobs.get(sha256);
        const isLost = here ? here.state === 'spoilt' : (await readOwing(database)).photos.includes(sha256);
        if (isLost) await database.blobs.put({ ...record, state: 'waiting' });
        else if (!here) await database.blobs.add(record);
        else if (here.state === 'draft') await database.blobs.update(sha256, { at });
        return isLost;
      }),
    );
    if (mended) await this.changed();
  }

  /** Photos of saved words that the centre does not have, with whatever bytes are left. */
  owed(): Promise<BlobRecord[]> {
    return this.guard.run((database) => database.blobs.where('state').anyOf(OWED_STATES).toArray());
  }

  /** Drops photos of forms that were given up: old ones that neither a draft nor the outbox names. */
  async sweep(nowMs: number): Promise<void> {
    await this.guard.run((database) =>
      database.transaction('rw', [database.blobs, database.meta, database.outbox], async () => {
        const named = new Set((await draftsOf(database)).flatMap(([, value]) => photosIn(value)));
        for (const { photos } of await database.outbox.toArray()) photos.forEach((sha256) => named.add(sha256));
        for (const { sha256, at } of await database.blobs.where('state').equals('draft').toArray()) {
          if (at === undefined || at > nowMs) await database.blobs.update(sha256, { at: nowMs });
          else if (nowMs - at > DRAFT_PHOTO_MS_MAX && !named.has(sha256)) await database.blobs.delete(sha256);
        }
      }),
    );
  }

  async continueAt(sha256: string, upload: string | null): Promise<void> {
    await this.guard.run((database) => database.blobs.update(sha256, { upload }));
  }

  /** The centre confirmed the whole hash; the copy stays to be looked at. */
  sent(sha256: string): Promise<void> {
    return this.become(sha256, 'sent');
  }

  /** The centre will never take it; it is not offered again. */
  refused(sha256: string): Promise<void> {
    return this.become(sha256, 'failed');
  }

  /** The bytes do not give their hash any more; it is not offered again, and stays until a person has seen that. */
  spoilt(sha256: string): Promise<void> {
    return this.become(sha256, 'spoilt');
  }

  private async become(sha256: string, state: BlobState): Promise<void> {
    await this.guard.run((database) =>
      database.transaction('rw', [database.blobs, database.meta], async () => {
        await database.blobs.update(sha256, { state, upload: null });
        if (state === 'sent') await paid(database, { photos: [sha256] });
      }),
    );
    await this.changed();
  }

  /** A person has seen that the centre will not have it: it leaves this device. */
  async dismiss(sha256: string): Promise<void> {
    await this.guard.run((database) =>
      database.transaction('rw', [database.blobs, database.meta], async () => {
        await database.blobs.delete(sha256);
        await paid(database, { photos: [sha256] });
      }),
    );
    await this.changed();
  }
}

/** What the centre does not have, in the transaction that reads it. */
export async function owedOf({ blobs }: Database): Promise<OwedPhoto[]> {
  const records = await blobs.where('state').anyOf(OWED_STATES).toArray();
  return records.map(({ sha256, size, state }) => ({ sha256, size, state: state as OwedPhoto['state'] }));
}
