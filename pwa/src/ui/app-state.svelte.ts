/** The one reactive view of the device: screens read through `app.read`, and the clock ticks here. */

import { untrack } from 'svelte';
import { Device } from '../net/device.ts';
import { placeNow } from './route.svelte.ts';

const TICK_MS = 1000;

/** Why the app must not reload just now; every open form has a reason of its own. */
export type Busy = 'alarm' | 'upload' | `draft:${string}`;

/** The reasons that hold now. */
class Reasons {
  #all = $state.raw<readonly Busy[]>([]);

  get size(): number {
    return this.#all.length;
  }

  /** An effect that adds one must not follow the others. */
  add(reason: Busy): void {
    const others = untrack(() => this.#all.filter((one) => one !== reason));
    this.#all = [...others, reason];
  }

  delete(reason: Busy): void {
    this.#all = untrack(() => this.#all.filter((one) => one !== reason));
  }
}

/** A way back from what was just done. */
export interface Undo {
  run: () => void;
  /** False once somebody has written after it: then there is no way back. */
  holds: () => boolean;
}

/** A short message. `id` tells two equal ones apart, `place` is the address it was said at. */
export interface Message {
  id: number;
  text: string;
  place: string;
  undo: Undo | null;
}

class AppState {
  /** The device once its database is open; null while it opens or when it cannot be opened. */
  device = $state.raw<Device | null>(null);
  /** Why the database cannot be opened, if so. */
  failure = $state<string | null>(null);
  /** Corrected time in ms, renewed every second while the page is in view. */
  now = $state(0);
  /** A person may be looking at the page. */
  visible = $state(document.visibilityState === 'visible');
  /** The person wants to enrol this device again. */
  enrolling = $state(false);
  /** What a reload would disturb; a screen adds its reason and takes it away. */
  readonly busy = new Reasons();
  /** The last short message, shown until it fades or the screen changes. */
  message = $state.raw<Message | null>(null);
  #version = $state(0);
  #said = 0;

  /** Open the device and follow its changes. The answer ends both. */
  start(): () => void {
    let ended = false;
    let stop = () => {};
    Device.open().then(
      (device) => {
        if (ended) return;
        stop = this.#follow(device);
      },
      (error: unknown) => (this.failure = String(error)),
    );
    return () => {
      ended = true;
      stop();
    };
  }

  /** What `of` says of the device now; a screen that read it is drawn again after any change. */
  read<T>(of: (device: Device) => T): T {
    void this.#version;
    if (!this.device) throw new Error('the device is not open');
    return of(this.device);
  }

  /** Draw everything again: the device became another, as by enrolment. */
  changed(): void {
    this.#version += 1;
  }

  /** Say shortly what was done, with the way back if there is one. It is gone once the screen changes. */
  say(text: string, undo: Undo | null = null): void {
    this.message = { id: ++this.#said, text, place: placeNow(), undo };
  }

  #follow(device: Device): () => void {
    const tick = () => {
      this.visible = document.visibilityState === 'visible';
      if (this.visible) this.now = device.now();
    };
    this.device = device;
    this.now = device.now();
    const off = device.subscribe(() => (this.#version += 1));
    const timer = setInterval(tick, TICK_MS);
    document.addEventListener('visibilitychange', tick);
    return () => {
      off();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }
}

export const app = new AppState();
