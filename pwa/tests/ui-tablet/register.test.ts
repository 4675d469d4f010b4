import { describe, expect, it } from 'vitest';
import type { Change, Row } from '../../src/core/contract.ts';
import { checkForm, type Refusal } from '../../src/core/mutation.ts';
import { overlaid, savedFrom } from '../../src/core/replica.ts';
import { stampAt, holding, row, NOW, UNIT } from './rows.ts';
import { againOf, contactChanges, contactRemoval, draftOf, keptOf } from '../../src/ui/views/tablet/contact-form.ts';
import {
  basedOn,
  cardReceipt,
  changedFields,
  completeness,
  inverseOf,
  lacks,
  lastWritten,
  nextNumber,
  slotsOf,
  stands,
} from '../../src/ui/views/tablet/register.ts';

const contact = row('contact', 'c1', { unit: UNIT, duty: 'head', n: 1, name: '周永平', post: '局长' });
const mobile = row('contact_phone', 'm1', { unit: UNIT, contact: 'c1', kind: 'mobile', number: '13804530011' });
const landline = row('contact_phone', 'l1', { unit: UNIT, contact: 'c1', kind: 'landline', number: '0453-6170001' });
const rows = [contact, landline, mobile];
const slots = slotsOf(holding(rows), UNIT);
const [slot] = slots;

function ids() {
  let n = 0;
  return () => `new-${(n += 1)}`;
}

/** Throws what any server would refuse. */
function allowed(changes: Change[]): void {
  checkForm({
    ...{ replica: 'r', lane: 2, n: 1, prev: '', realm: 'x', stamp: stampAt(NOW).replace('srv', 'r'), session: 's' },
    ...{ actor: 'p', intent: 'contact.edit', changes, base: {}, after: [], guard: [], schema: 1 },
  });
}

describe('the places of the contact list', () => {
  it('names two heads, two liaisons and a duty room, filled or not', () => {
    expect(slots.map((one) => [one.duty, one.n, one.contact?.id ?? null])).toEqual([
      ['head', 1, 'c1'],
      ['head', 2, null],
      ['liaison', 1, null],
      ['liaison', 2, null],
      ['duty_room', 1, null],
    ]);
    expect(slot!.phones.map((phone) => phone.id)).toEqual(['m1', 'l1']);
  });
  it('counts what is whole, and says what is missing', () => {
    expect(completeness(slots)).toEqual({ filled: 1, all: 5 });
    expect(lacks(slot!)).toEqual([]);
    expect(lacks(slots[1]!)).toEqual(['name', 'post', 'phone']);
    expect(lacks(slots[4]!)).toEqual(['name', 'phone']);
  });
  it('keeps a third liaison, and counts on', () => {
    const third = row('contact', 'c3', { unit: UNIT, duty: 'liaison', n: 3, name: '高翔' });
    const more = slotsOf(holding([...rows, third]), UNIT);
    expect(more.filter((one) => one.duty === 'liaison').map((one) => one.n)).toEqual([1, 3]);
    expect(nextNumber(more, 'liaison')).toBe(4);
  });
});

describe('an edit writes only what changed', () => {
  it('nothing when nothing changed, spaces and empty texts included', () => {
    expect(contactChanges(slot!, draftOf(slot!), UNIT, ids())).toEqual([]);
    expect(changedFields(contact, { name: ' 周永平 ', post: '局长' })).toEqual({});
    expect(changedFields(row('contact', 'x', { name: '总值班室', post: null }), { post: '' })).toEqual({});
  });
  it('one field of one row', () => {
    const draft = draftOf(slot!);
    draft.phones[0]!.number = '13904530000';
    expect(contactChanges(slot!, draft, UNIT, ids())).toEqual([
      { op: 'set', entity: 'contact_phone', id: 'm1', fields: { number: '13904530000' } },
    ]);
  });
  it('an emptied number is taken away, a new one created under the contact', () => {
    const draft = draftOf(slot!);
    draft.phones[1]!.number = '  ';
    draft.phones.push({ row: null, key: 'k', kind: 'mobile', number: '13700000000' });
    const changes = contactChanges(slot!, draft, UNIT, ids());
    expect(changes.map((one) => [one.op, one.id])).toEqual([
      ['create', 'new-1'],
      ['remove', 'l1'],
    ]);
    expect(changes[0]!.fields.contact).toBe('c1');
    allowed(changes);
  });
  it('a vacant place is filled with a contact and its numbers', () => {
    const draft = { name: '张立新', post: '', phones: [{ row: null, key: 'k', kind: 'mobile' as const, number: '1' }] };
    const changes = contactChanges(slots[2]!, draft, UNIT, ids());
    expect(changes[0]!.fields).toEqual({ unit: UNIT, duty: 'liaison', n: 1, name: '张立新' });
    expect(changes[1]!.fields.contact).toBe(changes[0]!.id);
    allowed(changes);
  });
  it('never overwrites a disputed number in passing', () => {
    const open = { number: [{ dot: 'a/2/1', value: '1', actor: 'p', stamp: stampAt(NOW) }] };
    const disputed: Row = { ...mobile, open };
    const draft = draftOf({ ...slot!, phones: [disputed] });
    draft.phones[0]!.number = '999';
    draft.phones[0]!.kind = 'landline';
    const changes = contactChanges({ ...slot!, phones: [disputed] }, draft, UNIT, ids());
    expect(changes).toEqual([{ op: 'set', entity: 'contact_phone', id: 'm1', fields: { kind: 'landline' } }]);
  });
});

describe('an edit can be taken back', () => {
  const before = (key: string) => rows.find((one) => `${one.entity}/${one.id}` === key) ?? null;

  it('a set by the old values', () => {
    const changes = [{ op: 'set', entity: 'contact', id: 'c1', fields: { post: '书记' } }];
    expect(inverseOf(changes, before, ids())).toEqual([
      { op: 'set', entity: 'contact', id: 'c1', fields: { post: '局长' } },
    ]);
  });
  it('a creation by a removal', () => {
    const changes = [{ op: 'create', entity: 'contact_phone', id: 'n', fields: { number: '1' } }];
    expect(inverseOf(changes, before, ids())).toEqual([{ op: 'remove', entity: 'contact_phone', id: 'n', fields: {} }]);
  });
  it('a removal under new ids, the contact before its numbers, for a removed id never lives again', () => {
    const inverse = inverseOf(contactRemoval(slot!), before, ids());
    expect(inverse.map((one) => [one.op, one.entity])).toEqual([
      ['create', 'contact'],
      ['create', 'contact_phone'],
      ['create', 'contact_phone'],
    ]);
    expect(new Set(inverse.map((one) => one.id)).has('c1')).toBe(false);
    for (const one of inverse.slice(1)) expect(one.fields.contact).toBe(inverse[0]!.id);
    allowed(inverse);
  });
  it('the check used above does refuse', () => {
    const bare = [{ op: 'create', entity: 'contact', id: 'c', fields: {} }];
    expect(() => allowed(bare)).toThrow(expect.objectContaining<Partial<Refusal>>({ code: 'bad_field' }));
  });
});

describe('taking back never overwrites others', () => {
  const DOT = 'me/2/7';
  const set: Change[] = [{ op: 'set', entity: 'contact', id: 'c1', fields: { post: '书记' } }];
  const edited: Row = { ...contact, writes: { post: [stampAt(NOW), DOT] } };
  const edit = { changes: set, dot: DOT, base: { 'contact/c1': { post: [contact.dot] } } };
  const still = (row: Row | null, changes = set) => stands({ ...edit, changes }, () => row);

  it('the inverse follows the edit and what that had seen, so that a later edit is beside it', () => {
    const inverse = inverseOf(set, () => contact, ids());
    expect(basedOn(inverse, edit)).toEqual({ 'contact/c1': { post: [DOT, contact.dot] } });
    expect(basedOn([{ op: 'remove', entity: 'contact', id: 'n', fields: {} }], edit)).toEqual({});
  });
  it('a set stands while it is shown over the row that it was based on, not over one that came meanwhile', () => {
    const saved = savedFrom(JSON.stringify({ replica: 'me', lane: 2, n: 7, stamp: stampAt(NOW), changes: set }));
    expect(still(overlaid(contact, set[0]!, saved))).toBe(true);
    const meanwhile = { ...contact, writes: { post: [stampAt(NOW), 'x/2/1'] } };
    expect(still(overlaid(meanwhile, set[0]!, saved))).toBe(false);
  });
  it('a set stands until another dot, a dispute or a removal', () => {
    expect(still(edited)).toBe(true);
    expect(still({ ...edited, writes: { ...edited.writes, name: [stampAt(NOW), 'x/2/1'] } })).toBe(true);
    expect(still({ ...edited, writes: { post: [stampAt(NOW), 'x/2/1'] } })).toBe(false);
    expect(still({ ...edited, writes: { post: [stampAt(NOW), DOT, 'x/2/1'] } })).toBe(false);
    expect(still({ ...edited, open: { post: [{ dot: DOT }, { dot: 'x/2/1' }] } })).toBe(false);
    expect([still(null), still({ ...edited, removed: true })]).toEqual([false, false]);
  });
  it('a creation until anybody touches the row, a removal while the row is gone', () => {
    const create: Change[] = [{ ...set[0]!, op: 'create' }];
    const made: Row = { ...contact, dot: DOT };
    expect(still(made, create)).toBe(true);
    expect(still({ ...made, writes: { name: [stampAt(NOW), 'x/2/1'] } }, create)).toBe(false);
    const remove: Change[] = [{ ...set[0]!, op: 'remove', fields: {} }];
    expect([still(null, remove), still(contact, remove)]).toEqual([true, false]);
  });
});

describe('a contact form that was killed', () => {
  it('opens as it was left, on the rows of now', () => {
    const draft = draftOf(slot!);
    draft.post = '书记';
    draft.phones[0]!.number = '139';
    draft.phones.splice(1, 1);
    draft.phones.push({ row: null, key: 'k', kind: 'mobile', number: '137' });
    const [seen, left] = JSON.parse(JSON.stringify([keptOf(draftOf(slot!)), keptOf(draft)]));
    const again = againOf(slot!, seen, left);
    expect(again).toEqual(draft);
    const changes = contactChanges(slot!, again, UNIT, ids());
    expect(changes.map((one) => [one.op, one.id, one.fields])).toEqual([
      ['set', 'c1', { post: '书记' }],
      ['set', 'm1', { number: '139' }],
      ['create', 'new-1', { unit: UNIT, contact: 'c1', kind: 'mobile', number: '137' }],
      ['remove', 'l1', {}],
    ]);
  });
  it('never takes back what others changed meanwhile', () => {
    const draft = draftOf(slot!);
    draft.post = '书记';
    const renamed: Row = { ...contact, fields: { ...contact.fields, name: '周平' } };
    const redialled: Row = { ...mobile, fields: { ...mobile.fields, number: '133' } };
    const added = row('contact_phone', 'x1', { unit: UNIT, contact: 'c1', kind: 'mobile', number: '155' });
    const now = { ...slot!, contact: renamed, phones: [redialled, added] };
    const again = againOf(now, keptOf(draftOf(slot!)), keptOf(draft));
    expect(contactChanges(now, again, UNIT, ids())).toEqual([
      { op: 'set', entity: 'contact', id: 'c1', fields: { post: '书记' } },
    ]);
  });
});

describe('the ticks of a card', () => {
  const written = (id: string, more: Partial<Row> = {}) => row('contact', id, {}, { dot: 'me/2/1', ...more });
  const told = (times: Record<string, number | null>) => ({
    identity: { replica: 'me' },
    receiptOf: (key: string) => ({ saved: true, arrived: times[key] ?? null }),
  });

  it('are none for what others wrote', () => {
    expect(cardReceipt(told({ 'contact/c1': 5 }), [contact])).toEqual({ saved: false, arrived: null });
  });
  it('are one while any of its rows waits, two with the last arrival', () => {
    const pair = [written('a'), written('b'), contact];
    expect(cardReceipt(told({ 'contact/a': 5 }), pair)).toEqual({ saved: true, arrived: null });
    expect(cardReceipt(told({ 'contact/a': 5, 'contact/b': 9 }), pair)).toEqual({ saved: true, arrived: 9 });
  });
  it('are there for a row of which this device wrote one field', () => {
    const edited = written('a', { dot: 'srv/1/1', writes: { name: [stampAt(NOW), 'me/2/2'] } });
    expect(cardReceipt(told({ 'contact/a': 7 }), [edited])).toEqual({ saved: true, arrived: 7 });
  });
  it('knows when anything was last written', () => {
    const edited: Row = { ...mobile, writes: { number: [stampAt(NOW), 'a/2/1'] } };
    expect(lastWritten([contact, edited])).toBe(NOW);
    expect(lastWritten([])).toBe(0);
  });
});
