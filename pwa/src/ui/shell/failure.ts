/** The sentence that tells a person why something was not saved. */

import { Refusal } from '../../core/mutation.ts';
import { isFull } from '../../store/guard.ts';
import { say, sayCode, type WordKey } from '../words.svelte.ts';

export function saveFailure(error: unknown): string {
  if (error instanceof Refusal) return sayCode('error', error.code);
  return say(isFull(error) ? 'app.done.full' : 'app.done.failed');
}

/** The same of a photo, which a person takes again. */
export function photoFailure(error: unknown): string {
  return fullOr(error, 'app.feedback.photo_failed');
}

/** That the disk is full and what to do, or else this sentence. */
export function fullOr(error: unknown, otherwise: WordKey): string {
  return say(isFull(error) ? 'error.device_full' : otherwise);
}
