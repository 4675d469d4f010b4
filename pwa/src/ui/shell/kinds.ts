/** The screens of each kind of device. A phone's come with the first load; the others are fetched once and cached. */
import type { DeviceKindName } from '../../core/entities.ts';
import { screens as phone } from '../views/phone/index.ts';
import type { Screens } from '../views/screens.ts';

export async function screensOf(kind: DeviceKindName): Promise<Screens> {
  if (kind === 'tablet') return (await import('../views/tablet/index.ts')).screens;
  if (kind === 'operator') return (await import('../views/operator/index.ts')).screens;
  return phone;
}
