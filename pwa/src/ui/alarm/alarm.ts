/** Whether this device can sound, and what it sounds now. Pure: the player and the screen both obey it. */

/** `locked` until a tap; `failed` when a tap did not help; `interrupted` when the system took the sound away. */
export type Lock = 'locked' | 'unlocking' | 'on' | 'interrupted' | 'failed';

/** The siren is for orders that wait to be signed, the notice for recalls and routine orders. */
export type Sound = 'siren' | 'notice';

export interface AlarmState {
  lock: Lock;
  /** What the orders on this device ask for; null when nothing waits. */
  wanted: Sound | null;
  /** The test tone of a shift's start runs. */
  testing: boolean;
}

export type AlarmEvent =
  | { type: 'tapped' }
  | { type: 'unlocked' }
  | { type: 'refused' }
  | { type: 'interrupted' }
  | { type: 'resumed' }
  | { type: 'tested' }
  | { type: 'wanted'; sound: Sound | null };

export const SILENT: AlarmState = { lock: 'locked', wanted: null, testing: false };

/** The next state. A tap may always try again; only a tap leaves `locked` and `failed`. */
export function next(state: AlarmState, event: AlarmEvent): AlarmState {
  switch (event.type) {
    case 'tapped':
      return state.lock === 'unlocking' ? state : { ...state, lock: 'unlocking' };
    case 'unlocked':
      return state.lock === 'unlocking' ? { ...state, lock: 'on', testing: true } : state;
    case 'refused':
      return state.lock === 'unlocking' ? { ...state, lock: 'failed', testing: false } : state;
    case 'interrupted':
      return state.lock === 'on' ? { ...state, lock: 'interrupted', testing: false } : state;
    case 'resumed':
      return state.lock === 'interrupted' ? { ...state, lock: 'on' } : state;
    case 'tested':
      return { ...state, testing: false };
    case 'wanted':
      return { ...state, wanted: event.sound };
  }
}

/** What must be heard now: an alarm goes before the test tone, and nothing sounds before the unlock. */
export function soundingOf(state: AlarmState): Sound | null {
  if (state.lock !== 'on') return null;
  return state.wanted ?? (state.testing ? 'siren' : null);
}

/** The lamp: on only when an alarm would really be heard. */
export function isAudible(state: AlarmState): boolean {
  return state.lock === 'on';
}
