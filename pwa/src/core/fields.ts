/** What one field may hold. A field's kind is checked at the server's edge and here alike. */

import {
  LAT_E6_MAX,
  LON_E6_MAX,
  METRES_MAX,
  SAFE_INT_MAX,
  THUMB_BYTES_MAX,
  TIME_MS_MAX,
  TIME_MS_MIN,
  type Value,
} from './contract.ts';
import type { FieldSpec, Kind } from './entities.ts';

const PHOTO_PARTS = new Set(['sha256', 'size', 'type', 'thumb']);
const SHA256_LENGTH = 64;
const LISTED_TEXT_MAX = 200;
const THUMB_TEXT_MAX = Math.floor((THUMB_BYTES_MAX * 4) / 3) + 64;

/** Characters as Python counts them: code points, not code units. */
export function lengthOf(text: string): number {
  let count = 0;
  for (const _char of text) count++;
  return count;
}

export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

const isText = (value: Value): value is string => typeof value === 'string';
const isTextUpTo = (value: Value, max: number): boolean => isText(value) && lengthOf(value) <= max;
const isObject = (value: Value): value is Record<string, Value> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isInt = (value: Value): boolean => Number.isInteger(value) && Math.abs(value) <= SAFE_INT_MAX;

function isId(value: Value, field: FieldSpec): boolean {
  return isText(value) && 0 < value.length && value.length <= field.max && isAscii(value);
}

function isPhoto(value: Value): boolean {
  return (
    isObject(value) &&
    Object.keys(value).every((name) => PHOTO_PARTS.has(name)) &&
    isText(value.sha256) &&
    lengthOf(value.sha256) === SHA256_LENGTH &&
    isInt(value.size) &&
    isText(value.type) &&
    isTextUpTo('thumb' in value ? value.thumb : '', THUMB_TEXT_MAX)
  );
}

function isList(value: Value, field: FieldSpec, each: (one: Value) => boolean): boolean {
  return Array.isArray(value) && value.length <= field.max && value.every(each);
}

function isClocks(value: Value, field: FieldSpec): boolean {
  if (!isObject(value)) return false;
  const times = Object.values(value);
  return times.length <= field.max && times.every((ms) => isInt(ms) && ms > 0);
}

function within(low: number, high: number): (value: Value) => boolean {
  return (value) => isInt(value) && low <= (value as number) && (value as number) <= high;
}

/** True for what every language keeps alike: null, bool, text, safe integers, lists, objects. */
export function isPlain(value: Value | undefined): boolean {
  if (Array.isArray(value)) return value.every(isPlain);
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isPlain);
  return typeof value === 'number' ? isInt(value) : true;
}

const HOLDS: Record<Kind, (value: Value, field: FieldSpec) => boolean> = {
  text: (value, field) => isTextUpTo(value, field.max),
  texts: (value, field) => isList(value, field, (one) => isTextUpTo(one, LISTED_TEXT_MAX)),
  choice: (value, field) => field.choices.includes(value),
  int: (value) => isInt(value),
  time: within(TIME_MS_MIN, TIME_MS_MAX),
  lat: within(-LAT_E6_MAX, LAT_E6_MAX),
  lon: within(-LON_E6_MAX, LON_E6_MAX),
  metres: within(0, METRES_MAX),
  bool: (value) => typeof value === 'boolean',
  ref: isId,
  photos: (value, field) => isList(value, field, isPhoto),
  clocks: isClocks,
  any: () => true,
};

/** True when `value` may stand in `field`; null stands in every field that is not required. */
export function holds(field: FieldSpec, value: Value): boolean {
  if (value === null || value === undefined) return !field.required;
  return HOLDS[field.kind](value, field);
}
