/** A recall meets work done without knowing of it: rules 1 to 3 of the conflict table. */

import type { Value } from './contract.ts';
import { RANKS } from './intents.ts';

export const RULE_RECALL_SIGNED = '4.3#1';
export const RULE_RECALL_BLIND = '4.3#2';
export const RULE_RECALL_ARRIVED = '4.3#3';

type Fields = Record<string, Value>;

/** Which rule a step that the recall did not know of falls under. */
export function recallRule(recall: Fields, step: Fields): string {
  if (RANKS[step.step]! >= RANKS.arrived!) return RULE_RECALL_ARRIVED;
  return step.at <= recall.at ? RULE_RECALL_SIGNED : RULE_RECALL_BLIND;
}
