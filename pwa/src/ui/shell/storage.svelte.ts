/** Whether the system promises to keep our storage, and how full it is. Asked for, never assumed. */

import { fillLazy } from '../../sw/register.ts';

class StorageState {
  /** Null until the browser told. */
  persisted = $state<boolean | null>(null);
  used = $state<number | null>(null);
  quota = $state<number | null>(null);
  /** All files of the app are here, also those that the first screen did without. */
  complete = $state<boolean | null>(null);

  async look(): Promise<void> {
    try {
      this.persisted = await navigator.storage.persisted();
      const { usage = null, quota = null } = await navigator.storage.estimate();
      [this.used, this.quota] = [usage, quota];
    } catch {
      this.persisted = null; // Too old a browser to ask.
    }
  }

  /** Ask to be kept for good. Some browsers ask the person, most decide by themselves. */
  async persist(): Promise<void> {
    try {
      await navigator.storage.persist();
    } catch {
      // Looked at below all the same.
    }
    await this.look();
  }

  async fill(): Promise<void> {
    this.complete = await fillLazy();
  }
}

export const storage = new StorageState();
