/** Rows as a device holds them: their keys, and the dots that an author who sees one names as base. */

import type { Row, Value } from './contract.ts';
import { ENTITIES } from './entities.ts';

/** `entity/id`. */
export type Key = string;

export function keyOf(entity: string, id: string): Key {
  return `${entity}/${id}`;
}

/** `[entity, id]`. */
export function splitKey(key: Key): [string, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}

/** The dots that an author who sees `row` names as the base of a write of `field`. */
export function baseOf(row: Row, field: string): string[] {
  const known = row.writes[field];
  return known ? known.slice(1) : [row.dot];
}

/** The id of the row's parent; null when it has none. */
export function parentOf(row: Row): string | null {
  const field = ENTITIES[row.entity]?.parent;
  const value = field ? row.fields[field] : null;
  return typeof value === 'string' ? value : null;
}

/** The photos that fields name, where the entity holds photos. */
export function photosNamed(entity: string, fields: Readonly<Record<string, Value>>): Value[] {
  const specs = ENTITIES[entity]?.fields ?? {};
  return Object.entries(fields).flatMap(([name, value]) =>
    specs[name]?.kind === 'photos' && Array.isArray(value) ? value : [],
  );
}

/** A row as it came, with what an older or terser server left out. */
export function wholeRow(row: Row): Row {
  const { writes = {}, open = {}, removed = false, home = '', provisional = false } = row;
  return { ...row, writes, open, removed, home, provisional };
}

/** Order of creation: stamp, then id. */
export function byCreation(a: Row, b: Row): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
