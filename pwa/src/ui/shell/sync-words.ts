/** How the device stands with the centre, in words. */

import type { Device } from '../../net/device.ts';
import type { DeviceStatus } from '../../net/types.ts';
import { ageText } from '../views/shared/ages.ts';
import { barred, sinceOf } from '../views/shared/nothing.ts';
import { say } from '../words.svelte.ts';

const JUST_MS = 10_000;

export type SyncLook = 'online' | 'offline' | 'syncing';

/** What waits to be sent: entries, and the photos that follow them. */
export function unsentOf(status: DeviceStatus): number {
  return status.waiting + status.photosWaiting;
}

/** What the centre did not take and what the disk has spoilt: each stays until a person has seen it. */
export function unseenOf(device: Pick<Device, 'status' | 'refused'>): number {
  const { damaged, photosFailed, photosSpoilt } = device.status;
  return device.refused().length + damaged + photosFailed + photosSpoilt;
}

/** Turning arrows only while something of mine is on its way. */
export function lookOf(status: DeviceStatus): SyncLook {
  if (!status.online || barred(status)) return 'offline';
  return status.syncing && unsentOf(status) > 0 ? 'syncing' : 'online';
}

/** Online: how long ago. Offline: as of when the data is. */
export function ageOf(status: DeviceStatus, now: number): string {
  const { lastSync, online } = status;
  if (!online || lastSync === null || barred(status)) return sinceOf(status, now);
  const age = now - lastSync;
  return age < JUST_MS ? say('app.sync.just') : say('app.sync.ago', { age: ageText(age) });
}
