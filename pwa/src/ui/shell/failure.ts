/** The sentence that tells a person why something was not saved. */

import { Refusal } from '../../core/mutation.ts';
import { troubleOf } from '../../net/trouble.ts';
import { say, sayCode } from '../words.svelte.ts';

export function saveFailure(error: unknown): string {
  if (error instanceof Refusal) return sayCode('error', error.code);
  const trouble = troubleOf(error);
  return trouble === 'device_full' ? sayCode('error', trouble) : say('app.done.failed');
}
