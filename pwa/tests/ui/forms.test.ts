import { describe, expect, it } from 'vitest';
import { CODE_LENGTH, codeOf, grouped, partsOf } from '../../src/ui/views/shared/address.ts';
import { dropDraft, keepDraft, readDraft, type Shelf } from '../../src/ui/views/shared/drafts.ts';
import { emptyDraft, likelyKind, mayBeSaved, started, withSentence } from '../../src/ui/views/shared/feedback.ts';
import { callsOf, within } from '../../src/ui/views/shared/help.ts';
import { anOrder, holding, NOON, recallOf, rowOf } from './rows.ts';

function shelf(full = false): Shelf {
  const held = new Map<string, string>();
  return {
    getItem: (name) => held.get(name) ?? null,
    setItem: (name, value) => {
      if (full) throw new DOMException('full', 'QuotaExceededError');
      held.set(name, value);
    },
    removeItem: (name) => void held.delete(name),
  };
}

describe('an enrolment code', () => {
  it.each([
    ['34679-acdef', '34679ACDEF'],
    [' 34679 ACDEF ', '34679ACDEF'],
    ['３４６７９—ａｃｄｅｆ', '34679ACDEF'],
    ['https://centre.example/app/#code=34679-ACDEF', '34679ACDEF'],
    ['#code=34679ACDEF&x=1', '34679ACDEF'],
    ['346', '346'],
  ])('%s is read as %s', (typed, code) => expect(codeOf(typed)).toBe(code));

  it('never grows beyond its length, and shows in two groups', () => {
    expect(codeOf('34679ACDEFGHJK')).toHaveLength(CODE_LENGTH);
    expect([grouped('3467'), grouped('34679'), grouped('34679A')]).toEqual(['3467', '34679', '34679-A']);
  });
});

describe('an address', () => {
  it('is read in parts, a broken escape as it stands', () => {
    expect(partsOf('#/d/a%2Fb/feedback')).toEqual(['d', 'a/b', 'feedback']);
    expect(partsOf('#/d/%E4%')).toEqual(['d', '%E4%']);
    expect([partsOf(''), partsOf('#/')]).toEqual([[], []]);
  });
});

describe('a draft', () => {
  const empty = emptyDraft('progress');

  it('comes back as it was left, and is gone once dropped', () => {
    const tab = shelf();
    expect(keepDraft('a', { ...empty, text: 'half a sen' }, tab)).toBe(true);
    expect(readDraft('a', empty, tab).text).toBe('half a sen');
    expect(readDraft('b', empty, tab)).toEqual(empty);
    dropDraft('a', tab);
    expect(readDraft('a', empty, tab)).toEqual(empty);
  });
  it('of an older form gains what the new form has', () => {
    const tab = shelf();
    keepDraft('a', { text: 'old' }, tab);
    expect(readDraft('a', empty, tab)).toEqual({ ...empty, text: 'old' });
  });
  it('survives a full or spoilt shelf as an empty form', () => {
    expect(keepDraft('a', empty, shelf(true))).toBe(false);
    const spoilt = { ...shelf(), getItem: () => '{"text":' };
    expect(readDraft('a', empty, spoilt)).toEqual(empty);
  });
});

describe('the feedback form', () => {
  it('guesses the kind from where the order stands', () => {
    expect(likelyKind(anOrder({ steps: ['signed'] }))).toBe('progress');
    expect(likelyKind(anOrder({ steps: ['arrived'] }))).toBe('arrive');
    expect(likelyKind(anOrder({ steps: ['reported'] }))).toBe('result');
    expect(likelyKind(anOrder({ facts: [recallOf()] }))).toBe('halt');
  });
  it('saves words or photos; a place alone says nothing', () => {
    const draft = emptyDraft('progress');
    expect([mayBeSaved(draft), mayBeSaved({ ...draft, place: 'gate' })]).toEqual([false, false]);
    expect(mayBeSaved({ ...draft, text: 'x' })).toBe(true);
    expect([started(draft), started({ ...draft, place: 'gate' })]).toEqual([false, true]);
  });
  it('adds a ready sentence once, after what was typed', () => {
    expect(withSentence('', 'B.')).toBe('B.');
    expect(withSentence('A. ', 'B.')).toBe('A. B.');
    expect(withSentence('A. B.', 'B.')).toBe('A. B.');
  });
});

describe('help calls', () => {
  const call = (id: string, at: number, actor = 'me') => rowOf('help_call', id, { at }, { actor });
  const answer = rowOf('help_answer', 'x', { help_call: 'new', at: NOON });

  it('are mine, recent, newest first, each with its answer', () => {
    const day = 24 * 3600_000;
    const rows = [
      call('mine', NOON - 2),
      call('new', NOON - 1),
      call('old', NOON - day),
      call('his', NOON, 'he'),
      answer,
    ];
    const calls = callsOf(holding(rows), 'me', NOON);
    expect(calls.map(({ call, answer }) => [call.id, answer?.id ?? null])).toEqual([
      ['new', 'x'],
      ['mine', null],
    ]);
  });
  it('wait for a position no longer than allowed, and not at all once the phone is put away', async () => {
    const never = new Promise<number>(() => undefined);
    const away = new AbortController();
    expect(await within(never, 5, away.signal)).toBeNull();
    expect(await within(Promise.resolve(7), 1000, away.signal)).toBe(7);
    expect(await within(Promise.reject(new Error('denied')), 1000, away.signal)).toBeNull();
    setTimeout(() => away.abort(), 1);
    expect(await within(never, 60_000, away.signal)).toBeNull();
  });
});
