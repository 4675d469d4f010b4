/** Keeps the screen on during a shift. The system drops the lock when the page is hidden; it is asked for again. */

/** `unsupported`: the person has to switch the screen lock off by hand. */
export type Awake = 'off' | 'held' | 'lost' | 'unsupported';

/** The parts of a browser that this needs, so that a test can bring its own. */
export interface Screen {
  request: (() => Promise<{ release(): Promise<void>; addEventListener(type: 'release', f: () => void): void }>) | null;
  visible(): boolean;
  /** Calls back at every change of visibility until the answer is called. */
  watch(changed: () => void): () => void;
}

export function realScreen(): Screen {
  const lock = 'wakeLock' in navigator ? navigator.wakeLock : null;
  return {
    request: lock && (() => lock.request('screen')),
    visible: () => document.visibilityState === 'visible',
    watch(changed) {
      document.addEventListener('visibilitychange', changed);
      return () => document.removeEventListener('visibilitychange', changed);
    },
  };
}

/** Hold the screen awake until the answer is called; `told` hears every change. */
export function keepAwake(screen: Screen, told: (state: Awake) => void): () => void {
  const { request } = screen;
  if (!request) {
    told('unsupported');
    return () => told('off');
  }
  let held: { release(): Promise<void> } | null = null;
  let asking = false;
  let over = false;

  const ask = async () => {
    if (over || held || asking || !screen.visible()) return;
    asking = true;
    try {
      const lock = await request();
      if (over) return void lock.release();
      held = lock;
      lock.addEventListener('release', () => {
        held = null;
        if (!over) told('lost');
      });
      told('held');
    } catch {
      told('lost'); // low battery, or a policy: asked again when the page comes back
    } finally {
      asking = false;
    }
  };
  const unwatch = screen.watch(ask);
  void ask();
  return () => {
    over = true;
    unwatch();
    void held?.release();
    told('off');
  };
}
