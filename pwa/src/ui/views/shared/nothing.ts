/** What an empty list says: nothing there, and as of when; a disabled device cannot know. */

import type { DeviceStatus } from '../../../net/types.ts';
import { say } from '../../words.svelte.ts';
import { asOf, timeText } from './ages.ts';

type Status = Pick<DeviceStatus, 'lastSync' | 'problem'>;

type Standing = Pick<DeviceStatus, 'problem'>;

export const revoked = (status: Standing): boolean => status.problem === 'revoked';
/** The centre does not know this device's sign-in. */
export const signedOut = (status: Standing): boolean => status.problem === 'unauthenticated';
/** Only a new enrolment helps. */
export const barred = (status: Standing): boolean => revoked(status) || signedOut(status);

/** 数据截至 …; of a disabled device: from before that. */
export function sinceOf(status: Status, now: number): string {
  if (!revoked(status)) return asOf(status.lastSync, now);
  if (status.lastSync === null) return say('app.revoked.never');
  return say('app.revoked.since', { time: timeText(status.lastSync, now) });
}

/** The words of an `EmptyState`. */
export function nothing(status: Status, text: string, now: number): { text: string; since: string } {
  const barredText = revoked(status) ? say('app.revoked.empty') : signedOut(status) ? say('app.signed_out.empty') : '';
  return { text: barredText || text, since: sinceOf(status, now) };
}
