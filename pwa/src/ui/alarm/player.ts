/** Makes the sounds: Web Audio first, an audio element where that is missing or silenced. */

import type { Sound } from './alarm.ts';

/** From the shell's own files, so that they are there without a network. */
const FILES: Record<Sound, string> = { siren: 'alarm.wav', notice: 'notice.wav' };
/** Silence between two rounds of a sound; the siren has its own pauses. */
const PAUSE_S: Record<Sound, number> = { siren: 0, notice: 2 };

const addressOf = (sound: Sound): string => `${import.meta.env.BASE_URL}sounds/${FILES[sound]}`;

/** What a player tells: whether it can be heard when the system interferes, and what really sounds at this moment. */
export interface Told {
  changed(audible: boolean): void;
  sounding(sound: Sound | null): void;
}

/** Plays one sound at a time, again and again until told otherwise. */
export class Player {
  #context: AudioContext | null = null;
  #buffers: Partial<Record<Sound, AudioBuffer>> = {};
  #source: AudioBufferSourceNode | null = null;
  #element: HTMLAudioElement | null = null;
  #playing: Sound | null = null;
  readonly #changed: (audible: boolean) => void;
  readonly #sounding: (sound: Sound | null) => void;

  constructor({ changed, sounding }: Told) {
    this.#changed = changed;
    this.#sounding = sounding;
  }

  /** Call it inside a tap. True when sound can be heard from now on. */
  async unlock(): Promise<boolean> {
    asPlayback();
    this.#element ??= new Audio();
    this.#element.src = addressOf('siren');
    // Both are started before the first await: the tap counts only until then.
    const heard = this.#element.play().then(
      () => this.#element!.pause(),
      () => (this.#element = null),
    );
    const opened = this.#openContext();
    await Promise.all([heard, opened]);
    return this.#contextRuns() || this.#element !== null;
  }

  async #openContext(): Promise<void> {
    if (typeof AudioContext === 'undefined') return;
    const context = (this.#context ??= new AudioContext());
    context.onstatechange = () => this.#reroute();
    try {
      await context.resume();
      await Promise.all((['siren', 'notice'] as const).map((sound) => this.#load(context, sound)));
    } catch {
      this.#buffers = {}; // not decodable here: the element takes over
    }
  }

  async #load(context: AudioContext, sound: Sound): Promise<void> {
    if (this.#buffers[sound]) return;
    const bytes = await (await fetch(addressOf(sound))).arrayBuffer();
    const once = await context.decodeAudioData(bytes);
    this.#buffers[sound] = withPause(context, once, PAUSE_S[sound]);
  }

  #contextRuns(): boolean {
    return this.#context?.state === 'running' && this.#buffers.siren !== undefined;
  }

  /** Sound this from now on; null for silence. */
  play(sound: Sound | null): void {
    if (sound === this.#playing) return;
    this.#stop();
    this.#playing = sound;
    if (!sound) return;
    const buffer = this.#buffers[sound];
    if (this.#contextRuns() && buffer) this.#loop(buffer, sound);
    else this.#playElement(sound);
  }

  #loop(buffer: AudioBuffer, sound: Sound): void {
    const source = this.#context!.createBufferSource();
    source.buffer = buffer;
    source.loop = true;
    source.connect(this.#context!.destination);
    source.start();
    this.#source = source;
    this.#sounding(sound);
  }

  #playElement(sound: Sound): void {
    if (!this.#element) return this.#changed(false);
    this.#element.src = addressOf(sound);
    this.#element.loop = true;
    this.#element.play().then(
      () => {
        this.#sounding(this.#element?.paused === false ? this.#playing : null);
        this.#changed(true);
      },
      () => this.#changed(false),
    );
  }

  #stop(): void {
    this.#source?.stop();
    this.#source = null;
    this.#element?.pause();
    this.#sounding(null);
  }

  /** The context stopped or came back: what sounds goes on by the way that is left. */
  #reroute(): void {
    const sound = this.#playing;
    if (!sound) return this.#changed(this.#contextRuns() || this.#element !== null);
    this.#playing = null;
    this.play(sound);
  }

  /** After the page was hidden or a call ended: try to sound again what should sound. */
  async revive(): Promise<void> {
    await this.#context?.resume().catch(() => undefined);
    this.#reroute();
  }
}

/** On iOS an alarm must be heard although the ring switch is off. */
function asPlayback(): void {
  const session = (navigator as { audioSession?: { type: string } }).audioSession;
  if (session) session.type = 'playback';
}

function withPause(context: AudioContext, once: AudioBuffer, seconds: number): AudioBuffer {
  if (!seconds) return once;
  const length = once.length + Math.round(seconds * once.sampleRate);
  const whole = context.createBuffer(once.numberOfChannels, length, once.sampleRate);
  for (let i = 0; i < once.numberOfChannels; i++) whole.copyToChannel(once.getChannelData(i), i);
  return whole;
}
