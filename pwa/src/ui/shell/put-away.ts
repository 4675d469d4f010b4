/** Something leaves a list with the button that was pressed: the focus goes to the title, not nowhere. */

import { tick } from 'svelte';
import { app } from '../app-state.svelte.ts';
import { say } from '../words.svelte.ts';

export async function putAway(dismissing: Promise<unknown>): Promise<void> {
  try {
    await dismissing;
  } catch {
    return app.say(say('app.done.failed'));
  }
  await tick();
  document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
}
