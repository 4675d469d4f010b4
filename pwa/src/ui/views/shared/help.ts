/** Help calls of the person at this device, and how far each got. */

import type { Row } from '../../../core/contract.ts';
import type { Reader } from './order.ts';

/** Older calls are history, not help. */
const RECENT_MS = 12 * 3600_000;

export interface HelpCall {
  call: Row;
  /** The centre's first answer; null while nobody answered. */
  answer: Row | null;
}

/** Recent calls of a person, newest first. */
export function callsOf(device: Reader, actor: string, now: number): HelpCall[] {
  return device
    .rows('help_call')
    .filter((call) => call.actor === actor && now - call.fields.at < RECENT_MS)
    .sort((a, b) => b.fields.at - a.fields.at)
    .map((call) => ({ call, answer: firstOf(device.children('help_answer', call.id)) }));
}

function firstOf(answers: readonly Row[]): Row | null {
  return answers.reduce<Row | null>((first, row) => (!first || row.fields.at < first.fields.at ? row : first), null);
}
