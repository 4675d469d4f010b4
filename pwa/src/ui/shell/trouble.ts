/** The sentence that tells a person why enrolment did not work. */

import { ProblemError, Unreachable } from '../../net/api.ts';
import { say, sayCode } from '../words.svelte.ts';

export function enrolTrouble(error: unknown): string {
  if (error instanceof ProblemError) return sayCode('error', error.code);
  if (error instanceof Unreachable) return say('app.enrol.offline');
  return say('app.enrol.failed');
}
