/** How the board sorts what concerns the unit. Pure but for the device it reads. */

import type { Row } from '../../../core/contract.ts';
import { RANKS } from '../../../core/intents.ts';
import { finished, mustStop, type Order, type Reader } from '../shared/order.ts';

export type Column = 'to_sign' | 'acting' | 'done';
export const COLUMNS: readonly Column[] = ['to_sign', 'acting', 'done'];

/** What waits for a first answer, what runs, and what is reported or over. */
export function columnOf(order: Order): Column {
  if (finished(order) || order.progress.rank >= RANKS.reported!) return 'done';
  return mustStop(order) || order.progress.rank < RANKS.signed! ? 'to_sign' : 'acting';
}

export interface HelpCall {
  call: Row;
  answers: Row[];
}

/** The unit's calls for help, unanswered first, then the newest. */
export function helpCallsOf(device: Reader, unit: string): HelpCall[] {
  return device
    .rows('help_call')
    .filter((call) => call.fields.unit === unit)
    .map((call) => ({ call, answers: device.children('help_answer', call.id) }))
    .sort((a, b) => a.answers.length - b.answers.length || b.call.fields.at - a.call.fields.at);
}
