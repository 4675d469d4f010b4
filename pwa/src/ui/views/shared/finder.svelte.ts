/** Looks for this device's position when asked. Nothing waits for it, and a closed form hears nothing more. */

import { findPlace, type Fix, type PlaceTrouble } from './place.ts';

export class Finder {
  finding = $state(false);
  trouble = $state<PlaceTrouble | null>(null);
  closed = false;

  /** Hand the position to `take` once it is known; why there is none stands in `trouble`. */
  async find(take: (fix: Fix) => void): Promise<void> {
    this.finding = true;
    this.trouble = null;
    try {
      const fix = await findPlace();
      if (!this.closed) take(fix);
    } catch (why) {
      this.trouble = why as PlaceTrouble;
    }
    this.finding = false;
  }
}
