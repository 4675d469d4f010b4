/** Acts that one tap saves. All of them rest together for a moment, wherever the next one appears. */

import { app } from '../../app-state.svelte.ts';
import { saveFailure } from '../../shell/failure.ts';

/** The second half of a double tap must not take the step after, nor the step of the card that moved up. */
const DOUBLE_TAP_MS = 900;

class Saving {
  resting = $state(false);

  /** Save an act and say so, unless one was saved just now. */
  async save(write: () => Promise<unknown>, done: string): Promise<void> {
    if (this.resting) return;
    this.resting = true;
    try {
      await write();
      app.say(done);
      setTimeout(() => (this.resting = false), DOUBLE_TAP_MS);
    } catch (error) {
      this.resting = false;
      app.say(saveFailure(error));
    }
  }
}

export const saving = new Saving();
