/** Where the device is: asked for when an act wants it, never in the background. */

export interface Fix {
  lat_e6: number;
  lon_e6: number;
  accuracy_m: number;
  /** Ms by the device's own clock. */
  at: number;
}

/** True while a kept fix may still be where somebody stands; both times by the device's own clock. */
export function stillHolds(fix: Fix, deviceNow: number): boolean {
  return Math.abs(deviceNow - fix.at) <= STALE_MS;
}

export type PlaceTrouble = 'denied' | 'unavailable';

/** A fix may be this old and still say where somebody stands. */
const FRESH_MS = 60_000;
/** A fix kept in a form says nothing after this long. */
const STALE_MS = 120_000;
const TIMEOUT_MS = 20_000;
const PERMISSION_DENIED = 1;

export function fixOf({ coords, timestamp }: GeolocationPosition): Fix {
  return {
    lat_e6: Math.round(coords.latitude * 1e6),
    lon_e6: Math.round(coords.longitude * 1e6),
    accuracy_m: Math.round(coords.accuracy),
    at: timestamp,
  };
}

/** One fix. Throws a PlaceTrouble, as text, when there is none. */
export function findPlace(timeout = TIMEOUT_MS): Promise<Fix> {
  return new Promise((resolve, reject: (trouble: PlaceTrouble) => void) => {
    if (!('geolocation' in navigator)) return reject('unavailable');
    navigator.geolocation.getCurrentPosition(
      (position) => resolve(fixOf(position)),
      (error) => reject(error.code === PERMISSION_DENIED ? 'denied' : 'unavailable'),
      { enableHighAccuracy: true, maximumAge: FRESH_MS, timeout },
    );
  });
}

/** True when asking would not put a question on the screen. */
export async function mayAskQuietly(): Promise<boolean> {
  try {
    return (await navigator.permissions.query({ name: 'geolocation' })).state === 'granted';
  } catch {
    return false; // Safari before 16 has no such query.
  }
}

/** 45_803_000 → `45.80300`. */
export const degrees = (e6: number): string => (e6 / 1e6).toFixed(5);

/** An address that opens the phone's own map; null without coordinates. */
export function mapLink(row: { fields: Record<string, unknown> }): string | null {
  const { lat_e6, lon_e6 } = row.fields;
  if (typeof lat_e6 !== 'number' || typeof lon_e6 !== 'number') return null;
  return `geo:${degrees(lat_e6)},${degrees(lon_e6)}?q=${degrees(lat_e6)},${degrees(lon_e6)}`;
}
