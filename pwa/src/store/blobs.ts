/** Photos on disk: own ones until the centre has every byte, others' as far as they were looked at. */

import type { BlobRecord } from './database.ts';
import { draftsOf, photosIn } from './drafts.ts';
import type { Guard } from './guard.ts';

const DAY_MS = 86_400_000;
/** A photo that no form names any more stays this long. */
export const DRAFT_PHOTO_MS_MAX = 7 * DAY_MS;

export class BlobShelf {
  private readonly guard: Guard;

  constructor(guard: Guard) {
    this.guard = guard;
  }

  get(sha256: string): Promise<BlobRecord | undefined> {
    return this.guard.run((database) => database.blobs.get(sha256));
  }

  /** Puts it down, unless the same bytes lie here already. */
  async add(record: BlobRecord): Promise<void> {
    await this.guard.run((database) =>
      database.transaction('rw', database.blobs, async () => {
        const here = await database.blobs.get(record.sha256);
        if (!here) await database.blobs.add(record);
        else if (here.state === 'draft') await database.blobs.update(record.sha256, { at: record.at });
      }),
    );
  }

  /** Photos of saved mutations that the centre does not have yet. */
  waiting(): Promise<BlobRecord[]> {
    return this.guard.run((database) => database.blobs.where('state').equals('waiting').toArray());
  }

  countFailed(): Promise<number> {
    return this.guard.run((database) => database.blobs.where('state').equals('failed').count());
  }

  /** Photos that the centre refused for good. */
  failed(): Promise<BlobRecord[]> {
    return this.guard.run((database) => database.blobs.where('state').equals('failed').toArray());
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

  /** The centre will never take it; it is not offered again. */
  async refused(sha256: string): Promise<void> {
    await this.guard.run((database) => database.blobs.update(sha256, { state: 'failed', upload: null }));
  }

  /** The centre confirmed the whole hash; the copy stays to be looked at. */
  async sent(sha256: string): Promise<void> {
    await this.guard.run((database) => database.blobs.update(sha256, { state: 'sent', upload: null }));
  }
}
