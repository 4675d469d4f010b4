/** What this browser can do, and where it keeps things: decides whether a device may be enrolled here. */

import { whenFailed, type Failure } from '../../sw/register.ts';

/** Why the app would lose what is written here; null when all is well. */
export type Trouble = 'insecure' | 'no_worker' | 'in_app' | 'cert' | 'ios';

/** The part of a browser that the decision looks at. */
export interface Browser {
  agent: string;
  touchPoints: number;
  secure: boolean;
  worker: boolean;
  keys: boolean;
  installed: boolean;
}

/** Apps that open links in a window of their own, whose storage nobody finds again. */
const IN_APP = /MicroMessenger|DingTalk|QQ\/|AlipayClient|Weibo/i;

export function isIos({ agent, touchPoints }: Pick<Browser, 'agent' | 'touchPoints'>): boolean {
  return /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touchPoints > 1);
}

export function troubleOf(browser: Browser, failure: Failure | null = null): Trouble | null {
  if (IN_APP.test(browser.agent)) return 'in_app';
  if (!browser.secure) return 'insecure';
  if (!browser.worker || !browser.keys) return 'no_worker';
  if (failure === 'refused') return 'cert'; // before `ios`: what is installed without it does not work either
  return isIos(browser) && !browser.installed ? 'ios' : null;
}

export type DeviceGuess = 'iphone' | 'ipad' | 'android' | 'android_tablet' | 'computer';

/** What to call this device until a person says better. */
export function guessOf({ agent, touchPoints }: Pick<Browser, 'agent' | 'touchPoints'>): DeviceGuess {
  if (/iPhone|iPod/.test(agent)) return 'iphone';
  if (isIos({ agent, touchPoints })) return 'ipad';
  if (/Android|HarmonyOS/.test(agent)) return /Mobile/.test(agent) ? 'android' : 'android_tablet';
  return 'computer';
}

export function thisBrowser(): Browser {
  const standalone = 'standalone' in navigator && navigator.standalone === true;
  return {
    agent: navigator.userAgent,
    touchPoints: navigator.maxTouchPoints,
    secure: isSecureContext,
    worker: 'serviceWorker' in navigator,
    keys: Boolean(globalThis.crypto?.subtle) && 'indexedDB' in globalThis,
    installed: standalone || matchMedia('(display-mode: standalone)').matches,
  };
}

const WORKER_MS_MAX = 10_000;

/** True once the service worker runs this page: only then the app opens without a network. A slow install is awaited. */
export async function workerReady(ms = WORKER_MS_MAX): Promise<boolean> {
  if (import.meta.env.DEV) return true; // The development server has no worker.
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), ms));
  let forget = () => {};
  const failed = new Promise<false>((resolve) => (forget = whenFailed(() => resolve(false))));
  return Promise.race([navigator.serviceWorker.ready.then(() => true), failed, late]).finally(() => forget());
}

/** Where the centre shows its certificate unless it was told another port: plain http, one above this one. */
export function trustPage({ hostname, port }: Pick<Location, 'hostname' | 'port'>): string {
  return `http://${hostname}:${Number(port || 443) + 1}/`;
}

/** The build that runs, told by the name of its script. */
export function buildName(): string {
  const script = document.querySelector<HTMLScriptElement>('script[type="module"][src]');
  return /-([\w-]+)\.js$/.exec(script?.src ?? '')?.[1] ?? 'dev';
}
