/** The page's side of the service worker: says when the app works offline, and when a new version waits. */

type Apply = () => void;
/** `replaced`: the new version runs in the background already, and this page alone is old. */
type Listener = (apply: Apply, replaced: boolean) => void;

/** `refused`: the browser would not take it, as behind an untrusted certificate; `unreachable`: it did not come. */
export type Failure = 'refused' | 'unreachable';
type FailureListener = (failure: Failure) => void;

const listeners = new Set<Listener>();
const failureListeners = new Set<FailureListener>();
let failure: Failure | null = null;
let waiting: ServiceWorker | null = null;
let registration: ServiceWorkerRegistration | undefined;
let mayReload = (): boolean => true;
let replaced = false;

const reload: Apply = () => location.reload();
const apply: Apply = () => (replaced ? reload() : waiting?.postMessage({ type: 'apply-update' }));

/**
 * Calls back when a new version waits, at once if one already does. Calling `apply` reloads every open tab that is
 * not busy: the caller shows a banner, and never applies during an alarm, a draft or an upload. Returns the
 * unsubscriber.
 */
export function onUpdateReady(listener: Listener): () => void {
  listeners.add(listener);
  if (waiting || replaced) listener(apply, replaced);
  return () => listeners.delete(listener);
}

/** Calls back when the worker could not be registered, at once if that is known. Returns the unsubscriber. */
export function whenFailed(listener: FailureListener): () => void {
  failureListeners.add(listener);
  if (failure) listener(failure);
  return () => failureListeners.delete(listener);
}

/** This tab reloads by itself only while `free` says so, though another tab applied the update. */
export function reloadOnlyIf(free: () => boolean): () => void {
  mayReload = free;
  return () => (mayReload = () => true);
}

/** Asks the server for a newer version; quiet without a network. */
export async function checkForUpdate(): Promise<void> {
  await registration?.update().catch(() => undefined);
}

/**
 * Fetches what the first screen did without (map, scanner). Resolves true when all of the app works offline,
 * false when a file is missing or no worker answers within `timeoutMs`.
 */
export function fillLazy(timeoutMs = 120_000): Promise<boolean> {
  return new Promise((resolve) => {
    const worker = navigator.serviceWorker?.controller;
    if (!worker) return resolve(false);
    const done = (complete: boolean) => {
      clearTimeout(timer);
      navigator.serviceWorker.removeEventListener('message', hear);
      resolve(complete);
    };
    const hear = (event: MessageEvent) => event.data?.type === 'lazy-filled' && done(event.data.complete === true);
    const timer = setTimeout(() => done(false), timeoutMs);
    navigator.serviceWorker.addEventListener('message', hear);
    worker.postMessage({ type: 'fill-lazy' });
  });
}

/** Registers the worker, where the context is secure. Sets `data-sw="ready"` on <html> once it controls this page. */
export async function registerServiceWorker(base: string = import.meta.env.BASE_URL): Promise<void> {
  const container = navigator.serviceWorker;
  if (!container) return;
  let controlled = container.controller !== null;
  container.addEventListener('controllerchange', () => {
    if (controlled) takenOver();
    controlled = true;
    markReady();
  });
  if (controlled) markReady();
  const script = `${base}sw.js`;
  try {
    registration = await container.register(script, { scope: base, updateViaCache: 'none' });
  } catch (why) {
    if (!container.controller) fail(await failureOf(why, script)); // an older worker still serves this page
    throw why;
  }
  watch(registration);
}

/** Browsers name a bad certificate differently, but all of them let the page itself load the script behind it. */
async function failureOf(why: unknown, script: string): Promise<Failure> {
  if (why instanceof DOMException && why.name === 'SecurityError') return 'refused';
  const came = await fetch(script, { cache: 'no-store' }).catch(() => null);
  return came?.ok ? 'refused' : 'unreachable';
}

function fail(found: Failure): void {
  failure = found;
  failureListeners.forEach((listener) => listener(found));
}

/** Once: by itself when nothing is disturbed, else when the person agrees. */
function takenOver(): void {
  if (replaced) return;
  replaced = true;
  if (mayReload()) reload();
  else listeners.forEach((listener) => listener(apply, true));
}

function watch(reg: ServiceWorkerRegistration): void {
  const offer = () => {
    if (!reg.waiting || !reg.active || reg.waiting === waiting) return;
    waiting = reg.waiting;
    listeners.forEach((listener) => listener(apply, replaced));
  };
  const follow = (worker: ServiceWorker | null) => worker?.addEventListener('statechange', offer);
  offer();
  follow(reg.installing);
  reg.addEventListener('updatefound', () => follow(reg.installing));
}

function markReady(): void {
  document.documentElement.dataset.sw = 'ready';
}
