/** Every confirmed row, decoded, with what is not confirmed yet on top: all that screens read. */

import type { Row } from '../core/contract.ts';
import type { Saved } from '../core/outbox.ts';
import { viewOf } from '../core/replica.ts';
import { byCreation, keyOf, parentOf, splitKey, type Key } from '../core/rows.ts';

interface Listed {
  rows: Row[];
  byParent: Map<string, Row[]> | null;
}

export class Memory {
  private readonly confirmed = new Map<Key, Row>();
  private readonly keysOf = new Map<string, Set<Key>>();
  private unconfirmed = new Map<Key, Saved[]>();
  private overlays = new Map<Key, Row | null>();
  private readonly lists = new Map<string, Listed>();

  /** The row as the centre last told it, removed or not. */
  confirmedRow(key: Key): Row | null {
    return this.confirmed.get(key) ?? null;
  }

  /** The row as a screen shows it; null when it is not there or was removed. */
  view(key: Key): Row | null {
    const overlay = this.overlays.get(key);
    if (overlay !== undefined) return overlay;
    const row = this.confirmed.get(key);
    return row && !row.removed ? row : null;
  }

  /** All rows of an entity, in the order of their creation. */
  rows(entity: string): Row[] {
    return this.listed(entity).rows;
  }

  /** The rows of an entity whose parent is `parent`, in the order of their creation. */
  children(entity: string, parent: string): Row[] {
    const listed = this.listed(entity);
    listed.byParent ??= grouped(listed.rows);
    return listed.byParent.get(parent) ?? [];
  }

  private listed(entity: string): Listed {
    const known = this.lists.get(entity);
    if (known) return known;
    const keys = new Set(this.keysOf.get(entity));
    for (const key of this.overlays.keys()) if (splitKey(key)[0] === entity) keys.add(key);
    const rows = [...keys].map((key) => this.view(key)).filter((row) => row !== null);
    const listed: Listed = { rows: rows.sort(byCreation), byParent: null };
    this.lists.set(entity, listed);
    return listed;
  }

  /** Afterwards `row` is what the centre told of `key`; null forgets it. */
  confirm(key: Key, row: Row | null): void {
    const entity = splitKey(key)[0];
    let keys = this.keysOf.get(entity);
    if (!keys) this.keysOf.set(entity, (keys = new Set()));
    if (row) {
      this.confirmed.set(key, row);
      keys.add(key);
    } else {
      this.confirmed.delete(key);
      keys.delete(key);
    }
    if (this.overlays.has(key)) this.overlays.set(key, this.overlaid(key));
    this.lists.delete(entity);
  }

  /** Afterwards exactly these mutations, oldest first, lie on top of the confirmed rows. */
  overlay(unconfirmed: readonly Saved[]): void {
    const before = this.overlays.keys();
    this.unconfirmed = byKey(unconfirmed);
    for (const key of [...before, ...this.unconfirmed.keys()]) this.lists.delete(splitKey(key)[0]);
    this.overlays = new Map([...this.unconfirmed.keys()].map((key) => [key, this.overlaid(key)]));
  }

  /** One more lies on top of all others. */
  lay(saved: Saved): void {
    for (const [key, [one]] of byKey([saved])) {
      const before = this.unconfirmed.get(key);
      if (before) before.push(one!);
      else this.unconfirmed.set(key, [one!]);
      this.overlays.set(key, this.overlaid(key));
      this.lists.delete(splitKey(key)[0]);
    }
  }

  private overlaid(key: Key): Row | null {
    return viewOf(this.confirmed.get(key) ?? null, key, this.unconfirmed.get(key) ?? []);
  }

  clear(): void {
    for (const map of [this.confirmed, this.keysOf, this.unconfirmed, this.overlays, this.lists]) map.clear();
  }
}

/** The mutations that touch each row; one that touches it twice is there once. */
function byKey(unconfirmed: readonly Saved[]): Map<Key, Saved[]> {
  const touching = new Map<Key, Saved[]>();
  for (const saved of unconfirmed) {
    for (const { entity, id } of saved.mutation.changes) {
      const key = keyOf(entity, id);
      const list = touching.get(key) ?? [];
      if (list[list.length - 1] !== saved) list.push(saved);
      touching.set(key, list);
    }
  }
  return touching;
}

function grouped(rows: Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const parent = parentOf(row);
    if (parent === null) continue;
    const group = groups.get(parent);
    if (group) group.push(row);
    else groups.set(parent, [row]);
  }
  return groups;
}
