/** Times as people read them: 24 hours, in the city's own time, whatever zone the phone is set to. */

import { DAY_MS } from '../../../core/contract.ts';
import { clockText } from '../../parts/time.ts';
import { say } from '../../words.svelte.ts';

/** The whole country keeps UTC+8 and has no summer time. */
const ZONE_MS = 8 * 3600_000;
const DAY_S = 86_400;
/** Younger than this is now. */
const JUST_MS = 10_000;

const two = (n: number): string => String(n).padStart(2, '0');
const local = (ms: number): Date => new Date(ms + ZONE_MS);
const dayOf = (ms: number): number => Math.floor((ms + ZONE_MS) / DAY_MS);

/** `10:21` */
export function hourText(ms: number): string {
  const time = local(ms);
  return `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}`;
}

/** `10:21` today, with the date on any other day. */
export function timeText(ms: number, now: number): string {
  if (dayOf(ms) === dayOf(now)) return hourText(ms);
  const time = local(ms);
  return say('app.time.day', { month: time.getUTCMonth() + 1, day: time.getUTCDate(), time: hourText(ms) });
}

/** `20261124-1021`, for file names. */
export function fileTime(ms: number): string {
  const time = local(ms);
  const day = `${time.getUTCFullYear()}${two(time.getUTCMonth() + 1)}${two(time.getUTCDate())}`;
  return `${day}-${hourText(ms).replace(':', '')}`;
}

/** How long ago, in the largest whole unit: 12 秒, 3 分钟, 5 小时, 2 天. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return say('app.age.seconds', { n: seconds });
  if (seconds < 3600) return say('app.age.minutes', { n: Math.floor(seconds / 60) });
  if (seconds < DAY_S) return say('app.age.hours', { n: Math.floor(seconds / 3600) });
  return say('app.age.days', { n: Math.floor(seconds / DAY_S) });
}

/** `刚刚`, then how long ago. */
export function agoText(ms: number): string {
  return ms < JUST_MS ? say('app.age.just') : say('app.age.ago', { age: ageText(ms) });
}

/** A running clock; more than a day is said in days. */
export function durationText(seconds: number): string {
  if (seconds < DAY_S) return clockText(seconds);
  return say('app.duration.days', { n: Math.floor(seconds / DAY_S), time: clockText(seconds % DAY_S) });
}

/** 数据截至 …, for empty lists. */
export function asOf(lastSync: number | null, now: number): string {
  return lastSync === null ? say('app.sync.never') : say('app.sync.as_of', { time: timeText(lastSync, now) });
}

/** `1.4 MB`; units are the same in both languages. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  let [value, unit] = [bytes, 0];
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
