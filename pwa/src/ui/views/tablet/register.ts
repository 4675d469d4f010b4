/** Edits of the register: only what changed travels, and every edit has its inverse. Pure. */

import type { Change, Row, Value } from '../../../core/contract.ts';
import type { Base } from '../../../core/replica.ts';
import { baseOf, keyOf } from '../../../core/rows.ts';
import { decodeStamp } from '../../../core/stamp.ts';
import type { ReceiptState } from '../../../net/types.ts';
import type { Reader } from '../shared/order.ts';

export type Duty = 'head' | 'liaison' | 'duty_room';
export const DUTIES: readonly Duty[] = ['head', 'liaison', 'duty_room'];
/** Two 负责人 and two 联络人 are to be named; a duty room may have more numbers. */
const SLOTS: Record<Duty, number> = { head: 2, liaison: 2, duty_room: 1 };

export interface Slot {
  duty: Duty;
  n: number;
  contact: Row | null;
  phones: Row[];
}

/** The places to be filled, and every contact beyond them, in order. */
export function slotsOf(device: Reader, unit: string): Slot[] {
  const contacts = device.rows('contact').filter((row) => row.fields.unit === unit);
  return DUTIES.flatMap((duty) => {
    const mine = contacts.filter((row) => row.fields.duty === duty).sort(bySlot);
    const slots: Slot[] = mine.map((contact, i) => ({
      duty,
      n: contact.fields.n ?? i + 1,
      contact,
      phones: [...device.children('contact_phone', contact.id)].sort(byKind),
    }));
    const taken = new Set(slots.map((slot) => slot.n));
    for (let n = 1; slots.length < SLOTS[duty]; n++)
      if (!taken.has(n)) slots.push({ duty, n, contact: null, phones: [] });
    return slots.sort((a, b) => a.n - b.n);
  });
}

const bySlot = (a: Row, b: Row) => (a.fields.n ?? 0) - (b.fields.n ?? 0) || (a.id < b.id ? -1 : 1);
const byKind = (a: Row, b: Row) =>
  a.fields.kind === b.fields.kind ? (a.id < b.id ? -1 : 1) : a.fields.kind === 'mobile' ? -1 : 1;

/** The next free number of a duty, for one more contact. */
export function nextNumber(slots: readonly Slot[], duty: Duty): number {
  return 1 + Math.max(0, ...slots.filter((slot) => slot.duty === duty && slot.contact).map((slot) => slot.n));
}

export type Lack = 'name' | 'post' | 'phone';

/** What a slot still lacks. */
export function lacks({ contact, phones, duty }: Slot): Lack[] {
  const lack: Lack[] = [];
  if (!contact?.fields.name) lack.push('name');
  if (!contact?.fields.post && duty !== 'duty_room') lack.push('post');
  if (!phones.some((phone) => phone.fields.number)) lack.push('phone');
  return lack;
}

/** Filled places of those to be filled. */
export function completeness(slots: readonly Slot[]): { filled: number; all: number } {
  const due = slots.filter((slot) => slot.n <= SLOTS[slot.duty]);
  return { filled: due.filter((slot) => !lacks(slot).length).length, all: due.length };
}

export type Fields = Record<string, Value>;

/** Text as it is kept: trimmed, and nothing rather than an empty text. */
const kept = (value: Value): Value => (typeof value === 'string' ? value.trim() || null : (value ?? null));

/** Only the fields whose value differs from the row's. */
export function changedFields(row: Row, form: Fields): Fields {
  const changed = Object.entries(form).filter(([name, value]) => kept(value) !== kept(row.fields[name]));
  return Object.fromEntries(changed.map(([name, value]) => [name, kept(value)]));
}

/** The `set` of what changed; nothing when nothing did. */
export function setChange(row: Row, form: Fields): Change[] {
  const fields = changedFields(row, form);
  return Object.keys(fields).length ? [{ op: 'set', entity: row.entity, id: row.id, fields }] : [];
}

export function createChange(entity: string, id: string, form: Fields): Change {
  const filled = Object.entries(form).filter(([, value]) => kept(value) !== null);
  return { op: 'create', entity, id, fields: Object.fromEntries(filled.map(([name, value]) => [name, kept(value)])) };
}

export function removeChange(row: Row): Change {
  return { op: 'remove', entity: row.entity, id: row.id, fields: {} };
}

/**
 * The edit that takes `changes` back. A removed id never lives again, so a removed row comes back under a new id,
 * and what named it follows.
 */
export function inverseOf(
  changes: readonly Change[],
  before: (key: string) => Row | null,
  newId: () => string,
): Change[] {
  const renamed = new Map<string, string>();
  const reborn = changes.filter((change) => change.op === 'remove');
  for (const change of reborn) renamed.set(change.id, newId());
  const newName = (value: Value): Value => renamed.get(value) ?? value;

  const inverse: Change[] = [];
  for (const { op, entity, id, fields } of changes) {
    const row = before(keyOf(entity, id));
    if (op === 'create') inverse.push({ op: 'remove', entity, id, fields: {} });
    else if (row && op === 'set') {
      const old = Object.keys(fields).map((name) => [name, row.fields[name] ?? null]);
      inverse.push({ op: 'set', entity, id, fields: Object.fromEntries(old) });
    } else if (row) {
      const again = Object.entries(row.fields).map(([name, value]) => [name, newName(value)]);
      inverse.push({ op: 'create', entity, id: newName(id), fields: Object.fromEntries(again) });
    }
  }
  return inverse.sort((a, b) => rebirthOrder(a) - rebirthOrder(b));
}

/** An edit that was written: its changes, its dot, and the dots that its author saw. */
export interface Edit {
  changes: readonly Change[];
  dot: string;
  base: Base;
}

/** The base of an inverse: the edit's own write and what that was based on, and nothing else. */
export function basedOn(inverse: readonly Change[], { dot, base }: Edit): Base {
  const sets = inverse.filter((change) => change.op === 'set');
  return Object.fromEntries(
    sets.map(({ entity, id, fields }) => {
      const seen = base[keyOf(entity, id)] ?? {};
      return [
        keyOf(entity, id),
        Object.fromEntries(Object.keys(fields).map((name) => [name, [dot, ...(seen[name] ?? [])]])),
      ];
    }),
  );
}

/** True while an edit is still the last word: nobody wrote after or beside it, and no field of it is in dispute. */
export function stands({ changes, dot, base }: Edit, rowOf: (key: string) => Row | null): boolean {
  return changes.every(({ op, entity, id, fields }) => {
    const key = keyOf(entity, id);
    const row = rowOf(key);
    if (op === 'remove') return row === null || row.removed;
    if (!row || row.removed) return false;
    // What was created goes whole when it is taken back: nobody may have touched any field of it.
    const names = op === 'create' ? Object.keys({ ...row.writes, ...row.open }) : Object.keys(fields);
    if (op === 'create' && row.dot !== dot) return false;
    return names.every((name) => {
      const [last, ...others] = baseOf(row, name);
      const seen = base[key]?.[name] ?? [];
      return !row.open[name]?.length && last === dot && others.every((other) => seen.includes(other));
    });
  });
}

/** A contact is there before its phones, and goes after them. */
function rebirthOrder(change: Change): number {
  const isParent = change.entity !== 'contact_phone';
  return change.op === 'create' ? (isParent ? 0 : 1) : change.op === 'remove' && isParent ? 3 : 2;
}

/** True when this device wrote the row or a field of it that still stands. */
export function touchedHere(row: Row, replica: string): boolean {
  const dots = [row.dot, ...Object.values(row.writes).map((write) => write[1] ?? '')];
  return dots.some((dot) => dot.startsWith(`${replica}/`));
}

/** What a card's ticks are read from. */
interface Receipts {
  identity: { replica: string } | null;
  receiptOf(key: string): ReceiptState;
}

/** The ticks of a card, for what was written here: one while any row waits, two once the last of them arrived. */
export function cardReceipt(device: Receipts, rows: readonly Row[]): ReceiptState {
  const here = rows.filter((row) => touchedHere(row, device.identity?.replica ?? ''));
  const mine = here.map((row) => device.receiptOf(keyOf(row.entity, row.id)));
  const waits = mine.some((state) => state.arrived === null);
  const times = mine.map((state) => state.arrived ?? 0);
  return { saved: mine.length > 0, arrived: waits || !mine.length ? null : Math.max(...times) };
}

/** When anything of these rows was last written, in ms; 0 when never. */
export function lastWritten(rows: readonly Row[]): number {
  const stamps = rows.flatMap((row) => [row.stamp, ...Object.values(row.writes).map((write) => write[0] ?? '')]);
  return Math.max(0, ...stamps.map((stamp) => decodeStamp(stamp)?.wallMs ?? 0));
}
