/** What became at the centre of words that it did not take, as far as this device was told. */

import { DAY_MS, type Row } from '../../core/contract.ts';
import { isOwn } from '../../core/epoch.ts';
import type { Reader } from '../views/shared/order.ts';
import { say, sayCode } from '../words.svelte.ts';

/** What was dealt with longer ago is history. */
const RECENT_MS = 7 * DAY_MS;

/** The row in which the centre shows these words; null while it has not told. */
export function fateOf(device: Reader, dot: string): Row | null {
  return device.rows('quarantine').find((row) => row.fields.dot === dot) ?? null;
}

/** In words, with the note of whoever judged; of a plain refusal that nobody has dealt with there is nothing to say. */
export function fateText({ fields }: Pick<Row, 'fields'>): string {
  const { state, verdict, note } = fields;
  if (state === 'open' && verdict === 'refused') return '';
  const fate = sayCode('app.fate', state);
  return note ? say('app.fate.with_note', { fate, note }) : fate;
}

/** The reason for which it was kept still stands: nobody has judged it, or what was let in fared no better. */
export function isUndecided({ fields }: Pick<Row, 'fields'>): boolean {
  return fields.state === 'open' || (fields.state === 'released' && Boolean(fields.code));
}

/** What this person wrote on other devices and the centre did not take, the newest first. */
export function fromOthers(device: Reader, me: { actor: string; replica: string }, now: number): Row[] {
  return device
    .rows('quarantine')
    .filter(({ fields }) => fields.author === me.actor && !isOwn(fields.dot, me.replica))
    .filter(({ fields, arrived }) => fields.state === 'open' || now - arrived < RECENT_MS)
    .sort((a, b) => b.arrived - a.arrived);
}
