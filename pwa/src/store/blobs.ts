/** Photos on disk: own ones until the centre has every byte, others' as far as they were looked at. */

import type { BlobRecord } from './database.ts';
import type { Guard } from './guard.ts';

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
        if (!(await database.blobs.get(record.sha256))) await database.blobs.add(record);
      }),
    );
  }

  /** Photos of saved mutations that the centre does not have yet. */
  waiting(): Promise<BlobRecord[]> {
    return this.guard.run((database) => database.blobs.where('state').equals('waiting').toArray());
  }

  async continueAt(sha256: string, upload: string | null): Promise<void> {
    await this.guard.run((database) => database.blobs.update(sha256, { upload }));
  }

  /** The centre confirmed the whole hash; the copy stays to be looked at. */
  async sent(sha256: string): Promise<void> {
    await this.guard.run((database) => database.blobs.update(sha256, { state: 'sent', upload: null }));
  }
}
