/** Why something failed, in one word that a screen can say. */

import type { Code } from '../core/contract.ts';
import { ProblemError, Unreachable } from './api.ts';

/** What the centre said; `offline`: nobody answered; `device_…`: this device failed, not the centre. */
export type Trouble = Code | 'offline' | 'device_full' | 'device_error';

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) return error.code;
  if (error instanceof Unreachable) return 'offline';
  return isFull(error) ? 'device_full' : 'device_error';
}

interface Wrapped {
  name?: string;
  inner?: unknown;
  cause?: unknown;
  failures?: unknown;
}

/** Dexie wraps what the browser threw, sometimes twice, and lists what failed in bulk. */
function isFull(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { name, inner, cause, failures } = error as Wrapped;
  const within = [inner, cause, ...(Array.isArray(failures) ? failures.slice(0, 1) : [])];
  return name === 'QuotaExceededError' || within.some((one) => isFull(one, depth + 1));
}
