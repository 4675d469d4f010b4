/** Names of people, from the directory on this device. */

import type { Row } from '../../../core/contract.ts';
import { say } from '../../words.svelte.ts';
import type { Reader } from '../shared/order.ts';

/** The person's name; the id when the directory does not have them. */
export function nameOf(device: Reader, actor: string): string {
  return device.row('person', actor)?.fields.name ?? actor;
}

/** Several names or things in one line. */
export function listText(items: readonly string[]): string {
  return items.join(say('tablet.separator'));
}

export function peopleOf(device: Reader, unit: string): Row[] {
  return device.children('person', unit);
}
