/** The shift of this device: sound, screen, notifications. One per page, started by a tap. */

import { SILENT, isAudible, next, soundingOf, type AlarmEvent, type AlarmState, type Sound } from './alarm.ts';
import { Player } from './player.ts';
import { keepAwake, realScreen, type Awake } from './wakelock.ts';

const TEST_MS = 1600;
const VIBRATION_MS = [400, 200, 400];
const VIBRATE_EVERY_MS = 2000;

export type Permission = NotificationPermission | 'unsupported';

/** On the page, so that anybody who looks at it from outside can tell whether it sounds. */
function showSounding(sound: Sound | null): void {
  const { dataset } = document.documentElement;
  if (sound) dataset.sounding = sound;
  else delete dataset.sounding;
}

class Shift {
  /** Whether the duty person started this shift since the page was opened. */
  started = $state(false);
  awake = $state<Awake>('off');
  notices = $state<Permission>(typeof Notification === 'undefined' ? 'unsupported' : Notification.permission);
  #alarm = $state.raw<AlarmState>(SILENT);
  #player = new Player({
    changed: (audible) => this.#tell({ type: audible ? 'resumed' : 'interrupted' }),
    sounding: showSounding,
  });
  #letSleep: (() => void) | null = null;
  #buzz: ReturnType<typeof setInterval> | undefined;

  get lock() {
    return this.#alarm.lock;
  }
  get audible() {
    return isAudible(this.#alarm);
  }
  get testing() {
    return this.#alarm.testing;
  }

  #tell(event: AlarmEvent): void {
    this.#alarm = next(this.#alarm, event);
    const sound = soundingOf(this.#alarm);
    this.#player.play(sound);
    this.#vibrate(sound !== null && this.#alarm.wanted !== null);
  }

  #vibrate(on: boolean): void {
    if (on === (this.#buzz !== undefined) || !('vibrate' in navigator)) return;
    clearInterval(this.#buzz);
    const buzz = () => navigator.vibrate(VIBRATION_MS);
    this.#buzz = on ? setInterval(buzz, VIBRATE_EVERY_MS) : undefined;
  }

  /** Inside a tap: unlock the sound, play the test, keep the screen on, ask for notifications. */
  async start(): Promise<void> {
    this.started = true;
    this.#letSleep ??= keepAwake(realScreen(), (state) => (this.awake = state));
    await this.unlock();
    if (this.notices === 'default') this.notices = await Notification.requestPermission();
  }

  /** Inside a tap: the sound alone, for a tablet that an alarm found silent. */
  async unlock(): Promise<void> {
    this.#tell({ type: 'tapped' });
    const heard = await this.#player.unlock();
    this.#tell({ type: heard ? 'unlocked' : 'refused' });
    setTimeout(() => this.#tell({ type: 'tested' }), TEST_MS);
  }

  end(): void {
    this.started = false;
    this.#letSleep?.();
    this.#letSleep = null;
  }

  /** Sound this until told otherwise. */
  want(sound: Sound | null): void {
    if (sound !== this.#alarm.wanted) this.#tell({ type: 'wanted', sound });
  }

  /** The page came back into view. */
  revive(): void {
    if (this.lock === 'on' || this.lock === 'interrupted') void this.#player.revive();
  }

  /** Tell it outside the page, when nobody looks at it. */
  async notify(title: string, body: string): Promise<void> {
    if (this.notices !== 'granted' || document.visibilityState === 'visible') return;
    const worker = await navigator.serviceWorker?.getRegistration();
    await worker?.showNotification(title, { body, tag: 'lingda-alarm', requireInteraction: true });
  }
}

export const shift = new Shift();
