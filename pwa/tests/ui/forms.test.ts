import { describe, expect, it } from 'vitest';
import { CODE_LENGTH, codeOf, grouped, partsOf } from '../../src/ui/views/shared/address.ts';
import {
  dropDraft,
  hasDraft,
  keepDraft,
  readDraft,
  type Keeper,
  type Shelf,
} from '../../src/ui/views/shared/drafts.ts';
import {
  emptyDraft,
  likelyKind,
  mayBeSaved,
  openedDraft,
  started,
  withSentence,
} from '../../src/ui/views/shared/feedback.ts';
import { callsOf } from '../../src/ui/views/shared/help.ts';
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

/** A device's drafts; `failing` is a disk that takes nothing more. */
function keeper(): Keeper & { failing: boolean } {
  const held = new Map<string, unknown>();
  return {
    failing: false,
    async keepDraft(name, value) {
      if (this.failing) throw new DOMException('full', 'QuotaExceededError');
      held.set(name, value);
    },
    draft: <T>(name: string) => (held.get(name) as T | undefined) ?? null,
    async dropDraft(name) {
      if (this.failing) throw new Error('disk');
      held.delete(name);
    },
  };
}

describe('a draft', () => {
  const empty = emptyDraft('progress');

  it('comes back as it was left, and is gone once dropped', async () => {
    const [disk, tab] = [keeper(), shelf()];
    expect(await keepDraft(disk, 'a', { ...empty, text: 'half a sen' }, tab)).toBe(true);
    expect(readDraft(disk, 'a', empty, tab).text).toBe('half a sen');
    expect(readDraft(disk, 'b', empty, tab)).toEqual(empty);
    await dropDraft(disk, 'a', tab);
    expect([hasDraft(disk, 'a', tab), readDraft(disk, 'a', empty, tab)]).toEqual([false, empty]);
  });
  it('of an older form gains what the new form has', async () => {
    const [disk, tab] = [keeper(), shelf()];
    await keepDraft(disk, 'a', { text: 'old' }, tab);
    expect(readDraft(disk, 'a', empty, tab)).toEqual({ ...empty, text: 'old' });
  });
  it('goes to the tab while the disk fails, and back to the disk', async () => {
    const [disk, tab] = [keeper(), shelf()];
    await keepDraft(disk, 'a', { text: 'one' }, tab);
    disk.failing = true;
    expect(await keepDraft(disk, 'a', { text: 'two' }, tab)).toBe(true);
    expect(readDraft(disk, 'a', empty, tab).text).toBe('two');
    await dropDraft(disk, 'b', tab);
    disk.failing = false;
    await keepDraft(disk, 'a', { text: 'three' }, tab);
    expect([readDraft(disk, 'a', empty, tab).text, tab.getItem('lingda.draft.a')]).toEqual(['three', null]);
  });
  it('survives a full or spoilt shelf as an empty form', async () => {
    const disk = keeper();
    disk.failing = true;
    expect(await keepDraft(disk, 'a', empty, shelf(true))).toBe(false);
    const spoilt = { ...shelf(), getItem: () => '{"text":' };
    expect(readDraft(disk, 'a', empty, spoilt)).toEqual(empty);
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
  it('opens with what was begun, a fresh position, else with the kind that is likely now', () => {
    const fix = { lat_e6: 1, lon_e6: 2, accuracy_m: 3, at: NOON };
    const begun = { ...emptyDraft('arrive'), text: 'x', fix };
    expect(openedDraft(begun, 'result', NOON + 120_000)).toEqual(begun);
    expect(openedDraft(begun, 'result', NOON + 120_001)).toEqual({ ...begun, fix: null });
    expect(openedDraft({ ...emptyDraft('arrive'), fix }, 'result', NOON)).toEqual(emptyDraft('result'));
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
});
