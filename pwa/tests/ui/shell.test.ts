import { describe, expect, it, vi } from 'vitest';
import type { DamagedItem, DeviceStatus, RefusedItem } from '../../src/net/types.ts';
import { bannersOf, UNSENT_WARN, type BannerFacts } from '../../src/ui/shell/banners.ts';
import { Refusal } from '../../src/core/mutation.ts';
import { ProblemError, Unreachable } from '../../src/net/api.ts';
import { StoreFull } from '../../src/store/guard.ts';
import { UnsentWork } from '../../src/store/store.ts';
import { actOf, subjectOf } from '../../src/ui/shell/describe.ts';
import { photoFailure, saveFailure } from '../../src/ui/shell/failure.ts';
import { fateOf, fateText, fromOthers, isUndecided } from '../../src/ui/shell/fates.ts';
import { guessOf, troubleOf, trustPage, workerReady, type Browser } from '../../src/ui/shell/platform.ts';
import { remainsOf } from '../../src/ui/shell/remains.ts';
import { lostLanes, lostText } from '../../src/ui/shell/lost.ts';
import { enrolTrouble, lateTrouble } from '../../src/ui/shell/trouble.ts';
import { ageOf, lookOf, unseenOf, unsentOf } from '../../src/ui/shell/sync-words.ts';
import {
  agoText,
  ageText,
  asOf,
  durationText,
  fileTime,
  hourText,
  sizeText,
  timeText,
} from '../../src/ui/views/shared/ages.ts';
import { nothing } from '../../src/ui/views/shared/nothing.ts';
import { say, sayList } from '../../src/ui/words.svelte.ts';
import { holding, MINUTE, NOON, orderRows, rowOf } from './rows.ts';

const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Safari/604.1';
const ANDROID = 'Mozilla/5.0 (Linux; Android 13; HMA-AL00) AppleWebKit/537.36 Chrome/110.0 Mobile Safari/537.36';
const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15';
const FINE: Browser = { agent: ANDROID, touchPoints: 5, secure: true, worker: true, keys: true, installed: false };

const STATUS: DeviceStatus = {
  online: true,
  heartbeatAge: 1000,
  syncing: false,
  waiting: 0,
  photosWaiting: 0,
  photoBytesWaiting: 0,
  photosFailed: 0,
  photosSpoilt: 0,
  lastSync: NOON,
  leader: true,
  behind: false,
  damaged: 0,
  repairs: 0,
  restored: null,
  storeLost: false,
  updateNeeded: false,
  problem: null,
  secure: true,
};

const FACTS: BannerFacts = {
  status: STATUS,
  offset: 0,
  refused: 0,
  answered: false,
  persisted: true,
  update: false,
  replaced: false,
  screen: '',
};

describe('times', () => {
  it('are the city’s, 24 hours, with the date on another day', () => {
    expect(hourText(NOON)).toBe('12:00');
    expect(hourText(Date.UTC(2026, 6, 1, 16, 5))).toBe('00:05');
    expect(timeText(NOON, NOON + MINUTE)).toBe('12:00');
    expect(timeText(NOON, NOON + 13 * 60 * MINUTE)).toBe(say('app.time.day', { month: 7, day: 1, time: '12:00' }));
    expect(fileTime(NOON)).toBe('20260701-1200');
  });
  it('say ages in the largest whole unit', () => {
    const [second, minute, hour, day] = (['seconds', 'minutes', 'hours', 'days'] as const).map(
      (unit) => (n: number) => say(`app.age.${unit}`, { n }),
    );
    expect(ageText(-5)).toBe(second!(0));
    expect(ageText(59_999)).toBe(second!(59));
    expect(ageText(60_000)).toBe(minute!(1));
    expect(ageText(3_599_999)).toBe(minute!(59));
    expect(ageText(25 * 3_600_000)).toBe(day!(1));
    expect(ageText(23 * 3_600_000)).toBe(hour!(23));
    expect(durationText(75)).toBe('01:15');
    expect(durationText(86_400 + 60)).toBe(say('app.duration.days', { n: 1, time: '01:00' }));
  });
  it('say 刚刚 rather than 0 seconds', () => {
    expect([agoText(0), agoText(9_999)]).toEqual([say('app.age.just'), say('app.age.just')]);
    expect(agoText(10_000)).toBe(say('app.age.ago', { age: ageText(10_000) }));
  });
  it('never claim to be fresh without a sync', () => {
    expect(asOf(null, NOON)).toBe(say('app.sync.never'));
    expect(ageOf({ ...STATUS, online: false }, NOON)).toBe(say('app.sync.as_of', { time: '12:00' }));
    expect(ageOf(STATUS, NOON + 12_000)).toBe(say('app.sync.ago', { age: ageText(12_000) }));
    expect(ageOf({ ...STATUS, lastSync: null }, NOON)).toBe(say('app.sync.never'));
  });
  it('give sizes in two figures', () => {
    expect([0, 900, 1_400_000, 20_000_000].map(sizeText)).toEqual(['0 B', '900 B', '1.3 MB', '19 MB']);
  });
});

describe('the sync chip', () => {
  it('turns only while something of mine is on its way', () => {
    expect(lookOf({ ...STATUS, syncing: true })).toBe('online');
    expect(lookOf({ ...STATUS, syncing: true, waiting: 1 })).toBe('syncing');
    expect(lookOf({ ...STATUS, online: false, syncing: true, waiting: 1 })).toBe('offline');
  });
});

describe('what waits', () => {
  it('counts the photos too', () => {
    expect(unsentOf({ ...STATUS, waiting: 2, photosWaiting: 3 })).toBe(5);
    expect(lookOf({ ...STATUS, syncing: true, photosWaiting: 1 })).toBe('syncing');
  });
});

describe('what a person must look at', () => {
  it('counts refusals, spoilt and lost words, and photos that will not get through', () => {
    const status = { ...STATUS, damaged: 2, photosFailed: 1, photosSpoilt: 1 };
    expect(unseenOf({ status, refused: () => [{} as RefusedItem] })).toBe(5);
    expect(unseenOf({ status: STATUS, refused: () => [] })).toBe(0);
  });
});

describe('numbers of lost words', () => {
  const lost = (lane: number, n: number, text: string | null = null): DamagedItem => {
    const dot = `r/${lane}/${n}`;
    return { id: 10 * lane + n, dot, lane, n, text, at: null, found: NOON + n, refused: false };
  };
  const numbers = (text: string): string => say('app.lost.numbers', { numbers: text });

  it('are told lane by lane, the urgent ones first, and those that follow each other as a range', () => {
    const items = [lost(1, 5), lost(0, 7), lost(0, 3), lost(0, 2), lost(0, 4), lost(0, 9, '{')];
    const urgent = numbers(`2–4${say('app.lost.between')}7`);
    expect(lostLanes(items)).toMatchObject([
      { lane: say('app.lane.0'), numbers: urgent, found: NOON + 7, ids: [2, 3, 4, 7] },
      { lane: say('app.lane.1'), numbers: numbers('5'), ids: [15] },
    ]);
    expect(lostText(items)).toBe(`${say('app.lane.0')} ${urgent} · ${say('app.lane.1')} ${numbers('5')}`);
    expect(lostText([lost(0, 9, '{')])).toBe('');
  });
});

describe('a device that is signed out', () => {
  const status = { ...STATUS, problem: 'unauthenticated' as const };

  it('does not look as if all were well, though the centre answers', () => {
    expect([lookOf(status), ageOf(status, NOON)]).toEqual(['offline', say('app.sync.as_of', { time: '12:00' })]);
    expect(nothing(status, 'no orders', NOON).text).toBe(say('app.signed_out.empty'));
    expect(bannersOf({ ...FACTS, status })).toEqual(['signed_out']);
  });
  it('says why its last words were not handed over', () => {
    expect(lateTrouble(new Unreachable('x'), 0)).toBe(say('app.late.offline'));
    expect(lateTrouble(new ProblemError(507, { code: 'storage', zh: '', en: '', detail: null }), 0)).toBe(
      say('error.storage'),
    );
    expect(lateTrouble(new Error('x'), 0)).toBe(say('app.done.failed'));
  });
  it('says how many of them are left, and where else they are', () => {
    const full = new ProblemError(503, { code: 'shelf_full', zh: '', en: '', detail: null });
    const why = say('error.shelf_full');
    expect(lateTrouble(full, 120)).toBe(say('app.late.left', { why, n: 120 }));
  });
});

describe('a disabled device', () => {
  const status = { ...STATUS, problem: 'revoked' as const };

  it('never says that there is nothing to do, nor that its data is fresh', () => {
    const { text, since } = nothing(status, 'no orders', NOON);
    expect([text, since]).toEqual([say('app.revoked.empty'), say('app.revoked.since', { time: '12:00' })]);
    expect([lookOf(status), ageOf(status, NOON)]).toEqual(['offline', since]);
    expect(nothing({ ...status, lastSync: null }, '', NOON).since).toBe(say('app.revoked.never'));
    expect(nothing(STATUS, 'no orders', NOON)).toEqual({ text: 'no orders', since: asOf(NOON, NOON) });
  });
});

describe('banners', () => {
  const facts = FACTS;

  it('are none when all is well or merely offline', () => {
    expect(bannersOf(facts)).toEqual([]);
    expect(bannersOf({ ...facts, status: { ...STATUS, online: false, problem: 'offline' } })).toEqual([]);
    expect(bannersOf({ ...facts, persisted: null })).toEqual([]);
  });
  it('say the gravest first', () => {
    const status = { ...STATUS, storeLost: true, waiting: UNSENT_WARN, problem: 'protocol' as const };
    const all = { ...facts, status, offset: -130_000, refused: 1, persisted: false, update: true };
    expect(bannersOf(all).slice(0, 4)).toEqual(['store_gone', 'problem', 'refused', 'unsent']);
    expect(bannersOf(all)).toContain('clock');
  });
  it('tell of spoilt and refused words at once, and calmly that a restored centre is given its own again', () => {
    const restored = { own: 3, orders: 2, rows: 1 };
    const status = { ...STATUS, damaged: 1, restored };
    expect(bannersOf({ ...facts, status, refused: 1 })).toEqual(['damaged', 'restored']);
    expect(bannersOf({ ...facts, status, refused: 1, screen: 'unsent' })).toEqual(['restored']);
  });
  it('tell of photos that will not get through, but not above the list of them', () => {
    const status = { ...STATUS, photosSpoilt: 1 };
    expect(bannersOf({ ...facts, status })).toEqual(['photos']);
    expect(bannersOf({ ...facts, status: { ...STATUS, photosFailed: 1 } })).toEqual(['photos']);
    expect(bannersOf({ ...facts, status, screen: 'unsent' })).toEqual([]);
  });
  it('ask to open anew only when nothing could be lost by it', () => {
    expect(bannersOf({ ...facts, status: { ...STATUS, storeLost: true } })).toEqual(['store_lost']);
    expect(bannersOf({ ...facts, status: { ...STATUS, storeLost: true, waiting: 1 } })).toEqual(['store_gone']);
  });
  it('say of a disabled device that it is, and of an old page that it is old, on every screen', () => {
    const status = { ...STATUS, problem: 'revoked' as const };
    expect(bannersOf({ ...facts, status, screen: 'd' })).toEqual(['revoked']);
    expect(bannersOf({ ...facts, update: true, replaced: true, screen: 'd' })).toEqual(['update']);
  });
  it('leave a screen alone with what it shows itself, and with what can wait', () => {
    const status = { ...STATUS, waiting: UNSENT_WARN };
    expect(bannersOf({ ...facts, status, refused: 2, screen: 'unsent' })).toEqual([]);
    expect(bannersOf({ ...facts, persisted: false, update: true, screen: 'd' })).toEqual([]);
  });
});

describe('where a device may be enrolled', () => {
  it('is where the app can keep what it is given', () => {
    expect(troubleOf(FINE)).toBeNull();
    expect(troubleOf({ ...FINE, secure: false, worker: false })).toBe('insecure');
    expect(troubleOf({ ...FINE, worker: false })).toBe('no_worker');
    expect(troubleOf({ ...FINE, agent: `${ANDROID} MicroMessenger/8.0` })).toBe('in_app');
  });
  it('is the installed app on an iPhone or iPad, never a tab', () => {
    expect(troubleOf({ ...FINE, agent: IPHONE })).toBe('ios');
    expect(troubleOf({ ...FINE, agent: MAC })).toBe('ios');
    expect(troubleOf({ ...FINE, agent: IPHONE, installed: true })).toBeNull();
    expect(troubleOf({ ...FINE, agent: MAC, touchPoints: 0 })).toBeNull();
  });
  it('is not behind a certificate that the browser refuses, though it may be slow or cut off', () => {
    expect(troubleOf(FINE, 'refused')).toBe('cert');
    expect(troubleOf({ ...FINE, agent: IPHONE }, 'refused')).toBe('cert');
    expect(troubleOf({ ...FINE, secure: false }, 'refused')).toBe('insecure');
    expect(troubleOf(FINE, 'unreachable')).toBeNull();
  });
  it('has its certificate on the next port', () => {
    expect(trustPage({ hostname: '10.0.0.5', port: '8001' })).toBe('http://10.0.0.5:8002/');
    expect(trustPage({ hostname: 'centre.test', port: '' })).toBe('http://centre.test:444/');
  });
  it('waits for a slow install, not for ever', async () => {
    vi.stubEnv('DEV', false);
    vi.stubGlobal('navigator', { serviceWorker: { ready: new Promise(() => {}) } });
    expect(await workerReady(1)).toBe(false);
    vi.stubGlobal('navigator', { serviceWorker: { ready: Promise.resolve({}) } });
    expect(await workerReady(1000)).toBe(true);
    vi.unstubAllGlobals();
    vi.unstubAllEnvs();
  });
  it('tells every way out', () => {
    expect(sayList('app.gate.cert').length).toBeGreaterThan(2);
    expect(sayList('app.gate.ios').length).toBeGreaterThan(2);
    expect(guessOf({ agent: ANDROID, touchPoints: 5 })).toBe('android');
    expect(guessOf({ agent: MAC, touchPoints: 5 })).toBe('ipad');
  });
});

describe('what waits is told in words', () => {
  const device = holding(orderRows());
  const of = (intent: string, entity: string, fields: Record<string, unknown>) => ({
    intent,
    changes: [{ op: 'create', entity, id: 'x', fields }],
  });

  it('names the step, the order and the first words', () => {
    expect(actOf(of('target.step', 'step', { step: 'signed' }))).toBe(say('step.signed'));
    const said = of('feedback.add', 'feedback', { target: 't', kind: 'progress', text: '长'.repeat(80) });
    expect(actOf(said)).toContain(say('kind.progress'));
    expect(subjectOf(said, device)).toBe(`t · t · ${'长'.repeat(60)}…`);
  });
  it('says of a lost entry that the centre is told of it', () => {
    expect(subjectOf(of('lane.void', 'void', { reason: 'corrupt' }), device)).toBe(say('app.void.corrupt'));
  });
  it('has something to say of an intent it does not know', () => {
    expect(actOf({ intent: 'moon.land', changes: [] })).toBe('moon.land');
  });
});

describe('words that the disk has spoilt', () => {
  const device = holding(orderRows());
  const whole = JSON.stringify({
    intent: 'feedback.add',
    changes: [
      { op: 'create', entity: 'feedback', id: 'x', fields: { target: 't', kind: 'progress', text: '水"深\n没膝' } },
    ],
  });

  it('are read as far as they are left', () => {
    const { mutation, words } = remainsOf(whole);
    expect(words).toEqual(['水"深\n没膝']);
    expect(actOf(mutation!)).toBe(`${say('intent.feedback.add')} · ${say('kind.progress')}`);
    expect(subjectOf(mutation!, device)).toBe('t · t');
  });
  it('are read without their end, and without their beginning', () => {
    expect(remainsOf(whole.slice(0, whole.indexOf('没'))).words).toEqual(['水"深\n']);
    const tail = remainsOf(whole.slice(20));
    expect([tail.mutation, tail.words]).toEqual([null, ['水"深\n没膝']]);
  });
  it('are shown as they stand where an escape was cut', () => {
    expect(remainsOf('{"intent":"help.call","text":"水\\u00').words).toEqual(['水\\u00']);
    expect(remainsOf('rubbish')).toEqual({ mutation: null, words: [] });
  });
});

describe('what became of words that were not taken', () => {
  const kept = (dot: string, fields: object, arrived = NOON) =>
    rowOf(
      'quarantine',
      dot,
      { dot, author: 'me', verdict: 'quarantined', state: 'open', note: null, ...fields },
      {
        arrived,
      },
    );

  it('is told in the words of whoever judged', () => {
    const device = holding([kept('r/0/1', {})]);
    expect(fateText(fateOf(device, 'r/0/1')!)).toBe(say('app.fate.open'));
    expect(fateOf(device, 'r/0/2')).toBeNull();
    expect(fateText(kept('r/0/1', { state: 'released' }))).toBe(say('app.fate.released'));
    const rejected = kept('r/0/1', { state: 'rejected', note: '重复' });
    expect(fateText(rejected)).toBe(say('app.fate.with_note', { fate: say('app.fate.rejected'), note: '重复' }));
  });
  it('is nothing while nobody has dealt with a plain refusal', () => {
    expect(fateText(kept('r/0/1', { verdict: 'refused' }))).toBe('');
    expect(fateText(kept('r/0/1', { verdict: 'refused', state: 'closed' }))).toBe(say('app.fate.closed'));
  });
  it('goes without the reason for which it was kept once somebody has judged', () => {
    const states = ['open', 'released', 'rejected', 'closed'];
    expect(states.map((state) => isUndecided(kept('r/0/1', { state, code: 'guard' })))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(isUndecided(kept('r/0/1', { state: 'released', code: null }))).toBe(false);
  });
  it('is shown of other devices of the same person, while it is open or fresh', () => {
    const old = NOON - 8 * 24 * 60 * MINUTE;
    const device = holding([
      kept('r/0/1', {}),
      kept('other/0/1', {}, old),
      kept('other/0/2', { state: 'rejected' }, old),
      kept('other/0/3', { state: 'rejected' }),
      kept('other/0/4', { author: 'somebody' }),
    ]);
    const shown = fromOthers(device, { actor: 'me', replica: 'r' }, NOON);
    expect(shown.map((row) => row.id)).toEqual(['other/0/3', 'other/0/1']);
  });
});

describe('why something was not saved', () => {
  const full = new StoreFull(new DOMException('full', 'QuotaExceededError'));

  it('is told of a full disk, with what to do', () => {
    const sentence = say('error.device_full');
    expect([photoFailure(full), enrolTrouble(full)]).toEqual([sentence, sentence]);
    expect(saveFailure(full)).toBe(say('app.done.full'));
  });
  it('is told of a refusal by its code, and of anything else with what to do', () => {
    expect(saveFailure(new Refusal('too_large'))).toBe(say('error.too_large'));
    expect(saveFailure(new Error('x'))).toBe(say('app.done.failed'));
    expect(photoFailure(new Error('x'))).toBe(say('app.feedback.photo_failed'));
  });
  it('is told of an enrolment that would lose words', () => {
    expect(enrolTrouble(new UnsentWork('damaged'))).toBe(say('app.enrol.unsent'));
    expect(enrolTrouble(new Unreachable('x'))).toBe(say('app.enrol.offline'));
  });
});
