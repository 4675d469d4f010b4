/** The sentence that tells a person why enrolment did not work, or what goes before it. */

import { ProblemError, Unreachable } from '../../net/api.ts';
import { UnsentWork } from '../../store/store.ts';
import { say, sayCode } from '../words.svelte.ts';
import { fullOr } from './failure.ts';

export function enrolTrouble(error: unknown): string {
  if (error instanceof ProblemError) return sayCode('error', error.code);
  if (error instanceof Unreachable) return say('app.enrol.offline');
  if (error instanceof UnsentWork) return say('app.enrol.unsent');
  return fullOr(error, 'app.enrol.failed');
}

/** Why not all of the last words were handed over, and how many are left. */
export function lateTrouble(error: unknown, left: number): string {
  return left ? say('app.late.left', { why: reason(error), n: left }) : reason(error);
}

function reason(error: unknown): string {
  if (error instanceof ProblemError) return sayCode('error', error.code);
  return say(error instanceof Unreachable ? 'app.late.offline' : 'app.done.failed');
}
