/** A newer version that waits, and whether it may be taken now. */

import { onUpdateReady, reloadOnlyIf } from '../../sw/register.ts';
import { app } from '../app-state.svelte.ts';

class Updates {
  ready = $state(false);
  /** Another tab took it already; this page has still to be loaded again. */
  replaced = $state(false);
  #apply: () => void = () => undefined;

  /** Hear of new versions until the answer is called. */
  follow(): () => void {
    const free = reloadOnlyIf(() => app.busy.size === 0);
    const deaf = onUpdateReady((apply, replaced) => {
      this.#apply = apply;
      this.ready = true;
      this.replaced = replaced;
    });
    return () => {
      free();
      deaf();
    };
  }

  /** Never during an alarm, a draft or an upload. */
  get allowed(): boolean {
    return app.busy.size === 0 && !app.read(({ status }) => status.syncing && status.photosWaiting > 0);
  }

  take(): void {
    if (this.allowed) this.#apply();
  }
}

export const updates = new Updates();
