/** What an empty list says: nothing there, and as of when; a disabled device cannot know. */

import type { DeviceStatus } from '../../../net/types.ts';
import { say } from '../../words.svelte.ts';
import { asOf, timeText } from './ages.ts';

type Status = Pick<DeviceStatus, 'lastSync' | 'problem'>;

export const revoked = (status: Pick<DeviceStatus, 'problem'>): boolean => status.problem === 'revoked';

/** 数据截至 …; of a disabled device: from before that. */
export function sinceOf(status: Status, now: number): string {
  if (!revoked(status)) return asOf(status.lastSync, now);
  if (status.lastSync === null) return say('app.revoked.never');
  return say('app.revoked.since', { time: timeText(status.lastSync, now) });
}

/** The words of an `EmptyState`. */
export function nothing(status: Status, text: string, now: number): { text: string; since: string } {
  return { text: revoked(status) ? say('app.revoked.empty') : text, since: sinceOf(status, now) };
}
