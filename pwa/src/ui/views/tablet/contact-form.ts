/** The form of one contact and its numbers, and the changes that it comes to. Pure. */

import type { Change, Row } from '../../../core/contract.ts';
import { isDisputed } from './disputes.ts';
import { createChange, removeChange, setChange, type Slot } from './register.ts';

export interface PhoneDraft {
  /** The row it edits; null for a new number. */
  row: Row | null;
  key: string;
  kind: 'mobile' | 'landline';
  number: string;
}

export interface ContactDraft {
  name: string;
  post: string;
  phones: PhoneDraft[];
}

export function draftOf(slot: Slot): ContactDraft {
  return {
    name: slot.contact?.fields.name ?? '',
    post: slot.contact?.fields.post ?? '',
    phones: slot.phones.map((row) => ({ row, key: row.id, kind: row.fields.kind, number: row.fields.number })),
  };
}

/** What a draft keeps of the form: a number by its row's id, for the row may change before the form opens again. */
export interface KeptContact {
  name: string;
  post: string;
  phones: Omit<PhoneDraft, 'row'>[];
}

export function keptOf({ name, post, phones }: ContactDraft): KeptContact {
  return { name, post, phones: phones.map(({ key, kind, number }) => ({ key, kind, number })) };
}

/** The form as it was left, upon the rows of now: only what its author changed since `seen` goes before them. */
export function againOf(slot: Slot, seen: KeptContact, left: KeptContact): ContactDraft {
  const now = draftOf(slot);
  const find = (of: KeptContact, key: string) => of.phones.find((phone) => phone.key === key);
  const standing = now.phones.flatMap((phone) => {
    const [was, is] = [find(seen, phone.key), find(left, phone.key)];
    if (was && !is) return []; // taken away in the form
    const { kind, number } = phone;
    if (!was || !is) return [phone];
    return [
      { ...phone, kind: is.kind === was.kind ? kind : is.kind, number: is.number === was.number ? number : is.number },
    ];
  });
  const added = left.phones.filter((phone) => !find(seen, phone.key)).map((phone) => ({ ...phone, row: null }));
  return {
    name: left.name === seen.name ? now.name : left.name,
    post: left.post === seen.post ? now.post : left.post,
    phones: [...standing, ...added],
  };
}

/** What the form comes to: only what changed. A number left empty is a number taken away. */
export function contactChanges(slot: Slot, draft: ContactDraft, unit: string, newId: () => string): Change[] {
  const { contact, duty, n } = slot;
  const form = { name: draft.name, post: draft.post };
  const id = contact?.id ?? newId();
  const own = contact ? setChange(contact, form) : [createChange('contact', id, { unit, duty, n, ...form })];
  const kept = new Set(draft.phones.filter((phone) => phone.number.trim()).map((phone) => phone.row?.id));
  const gone = slot.phones.filter((row) => !kept.has(row.id)).map(removeChange);
  const numbers = draft.phones.flatMap(({ row, kind, number }) => {
    if (!number.trim()) return [];
    if (!row) return [createChange('contact_phone', newId(), { unit, contact: id, kind, number })];
    // A disputed number is decided among the conflicts, never overwritten in passing.
    return setChange(row, isDisputed(row, 'number') ? { kind } : { kind, number });
  });
  return [...own, ...numbers, ...gone];
}

/** The person and all their numbers leave the list. */
export function contactRemoval(slot: Slot): Change[] {
  return [...slot.phones, ...(slot.contact ? [slot.contact] : [])].map(removeChange);
}
