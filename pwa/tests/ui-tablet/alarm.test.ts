import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { SILENT, isAudible, next, soundingOf, type AlarmEvent, type AlarmState } from '../../src/ui/alarm/alarm.ts';
import { keepAwake, type Awake, type Screen } from '../../src/ui/alarm/wakelock.ts';
import { alarmsOf, soundFor } from '../../src/ui/views/tablet/alarms.ts';
import { ordersOf } from '../../src/ui/views/shared/order.ts';
import { UNIT, holding, orderRows, recallOf, row } from './rows.ts';

const after = (...events: AlarmEvent[]): AlarmState => events.reduce(next, SILENT);
const ON: AlarmEvent[] = [{ type: 'tapped' }, { type: 'unlocked' }];

describe('the sound of the alarm', () => {
  it('never sounds before a tap, whatever is wanted', () => {
    expect(soundingOf(after({ type: 'wanted', sound: 'siren' }))).toBeNull();
    expect(soundingOf(after({ type: 'unlocked' }, { type: 'wanted', sound: 'siren' }))).toBeNull();
  });
  it('plays a test after the unlock, and then is silent', () => {
    expect(soundingOf(after(...ON))).toBe('siren');
    expect(soundingOf(after(...ON, { type: 'tested' }))).toBeNull();
  });
  it('sounds what already waited as soon as it is unlocked', () => {
    const state = after({ type: 'wanted', sound: 'notice' }, ...ON);
    expect(soundingOf(state)).toBe('notice');
    expect(soundingOf(next(state, { type: 'tested' }))).toBe('notice');
  });
  it('goes on until nothing waits', () => {
    const state = after(...ON, { type: 'tested' }, { type: 'wanted', sound: 'siren' });
    expect(soundingOf(state)).toBe('siren');
    expect(soundingOf(next(state, { type: 'wanted', sound: null }))).toBeNull();
  });
  it('shows the lamp off while the system holds the sound, and sounds again by itself', () => {
    const cut = after(...ON, { type: 'tested' }, { type: 'wanted', sound: 'siren' }, { type: 'interrupted' });
    expect(isAudible(cut)).toBe(false);
    expect(soundingOf(cut)).toBeNull();
    expect(soundingOf(next(cut, { type: 'resumed' }))).toBe('siren');
  });
  it('can be tried again after it failed', () => {
    const failed = after({ type: 'tapped' }, { type: 'refused' });
    expect(failed.lock).toBe('failed');
    expect(next(failed, { type: 'resumed' }).lock).toBe('failed');
    expect(isAudible(ON.reduce(next, failed))).toBe(true);
  });
});

describe('which orders call', () => {
  const alarms = (rows: ReturnType<typeof orderRows>, aside: string[] = []) =>
    alarmsOf(ordersOf(holding(rows), UNIT), new Set(aside));

  it('an order calls until it is signed, read or not', () => {
    expect(alarms(orderRows('t', 'flash')).map((one) => one.kind)).toEqual(['sign']);
    expect(alarms(orderRows('t', 'flash', ['received', 'read']))).toHaveLength(1);
    expect(alarms(orderRows('t', 'flash', ['received', 'signed']))).toEqual([]);
  });
  it('a step that implies the signature ends it too', () => {
    expect(alarms(orderRows('t', 'urgent', ['arrived']))).toEqual([]);
  });
  it('a new round calls again, and is another alarm', () => {
    const rows = orderRows('t', 'urgent', ['signed']);
    const again = { target: 't', directive: 'd-t', unit: UNIT, round: 2, at: 1, reason: 'redo', note: '重办' };
    const [alarm] = alarms([...rows, row('round', 'n', again)]);
    expect(alarm?.kind).toBe('sign');
    expect(alarm?.id).not.toBe(alarms(orderRows('t', 'urgent'))[0]?.id);
  });
  it('each is about something else, so the focus leaves the button when the next one comes', () => {
    const both = [...orderRows('a', 'flash'), ...orderRows('b', 'urgent')];
    const [one, two] = alarms(both);
    const [next] = alarms([...orderRows('a', 'flash', ['signed']), ...orderRows('b', 'urgent')]);
    expect(next?.id).toBe(two?.id);
    expect(next?.id).not.toBe(one?.id);
    expect(alarms([...both, recallOf('a', 0)])[0]?.id).not.toBe(one?.id);
    const source = (path: string) => readFileSync(new URL(`../../src/ui/${path}`, import.meta.url), 'utf8');
    expect(source('views/tablet/Alarm.svelte')).toMatch(/<Dialog[^]*?\stopic=\{id\}/);
    expect(source('parts/Dialog.svelte')).toContain('if (open && topic !== undefined) heading.focus();');
  });
  it('orders of other units do not', () => {
    expect(alarmsOf(ordersOf(holding(orderRows('t', 'flash')), 'u-other'), new Set())).toEqual([]);
  });
  it('a recalled order asks to stop instead of to sign, and comes first', () => {
    const rows = [...orderRows('a', 'flash'), ...orderRows('b', 'routine'), recallOf('b', 0)];
    expect(alarms(rows).map((one) => [one.order.id, one.kind])).toEqual([
      ['b', 'stop'],
      ['a', 'sign'],
    ]);
  });
  it('a confirmed stop is silent', () => {
    const stop = { target: 't', directive: 'd-t', unit: UNIT, round: 1, at: 2, recall: 'r-t' };
    expect(alarms([...orderRows('t', 'urgent', ['signed']), recallOf('t', 3), row('stop', 's', stop)])).toEqual([]);
  });
  it('a contested recall can be put aside, an order never', () => {
    const contested = [...orderRows('t', 'urgent', ['signed', 'arrived']), recallOf('t', 3)];
    const [alarm] = alarms(contested);
    expect(alarm?.kind).toBe('contested');
    expect(alarms(contested, [alarm!.id])).toEqual([]);
    const unsigned = orderRows('t', 'urgent');
    expect(alarms(unsigned, [alarms(unsigned)[0]!.id])).toHaveLength(1);
  });
  it('only what presses sounds the siren', () => {
    expect(soundFor(alarms(orderRows('t', 'flash')))).toBe('siren');
    expect(soundFor(alarms(orderRows('t', 'routine')))).toBe('notice');
    expect(soundFor(alarms([...orderRows('t', 'urgent', ['signed']), recallOf('t', 3)]))).toBe('notice');
    expect(soundFor([])).toBeNull();
  });
});

describe('the wake lock', () => {
  function fakeScreen(request: Screen['request'] = null) {
    let changed = () => {};
    const shown = { visible: true };
    const screen: Screen = {
      request,
      visible: () => shown.visible,
      watch: (listener) => {
        changed = listener;
        return () => (changed = () => {});
      },
    };
    return { screen, show: (visible: boolean) => ((shown.visible = visible), changed()) };
  }
  const settle = () => new Promise((resolve) => setTimeout(resolve));

  it('says so when there is none', () => {
    const told: Awake[] = [];
    keepAwake(fakeScreen().screen, (state) => told.push(state))();
    expect(told).toEqual(['unsupported', 'off']);
  });
  it('asks again when the page comes back', async () => {
    let drop = () => {};
    const lock = { release: async () => {}, addEventListener: (_: 'release', f: () => void) => (drop = f) };
    const request = vi.fn(async () => lock);
    const { screen, show } = fakeScreen(request);
    const told: Awake[] = [];
    const end = keepAwake(screen, (state) => told.push(state));
    await settle();
    show(false);
    drop();
    await settle();
    expect(request).toHaveBeenCalledTimes(1);
    show(true);
    await settle();
    expect(request).toHaveBeenCalledTimes(2);
    end();
    expect(told).toEqual(['held', 'lost', 'held', 'off']);
  });
  it('lets go of a lock that came after the end', async () => {
    const release = vi.fn(async () => {});
    const { screen } = fakeScreen(async () => ({ release, addEventListener: () => {} }));
    keepAwake(screen, () => {})();
    await settle();
    expect(release).toHaveBeenCalledTimes(1);
  });
});
