/** Why something failed, in one word that a screen can say. */
import type { Code } from '../core/intents.ts';
import { isFull } from '../store/guard.ts';
import { ProblemError, Unreachable } from './api.ts';

/** What the centre said; `offline`: nobody answered; `device_…`: this device failed, not the centre. */
export type Trouble = Code | 'offline' | 'device_full' | 'device_error';

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) return error.code;
  if (error instanceof Unreachable) return 'offline';
  return isFull(error) ? 'device_full' : 'device_error';
}
