/** The world outside, all in one place: time, chance, network, keys, tabs, pictures. Tests bring their own. */

import { NO_CHANNEL, type TabChannel, type TabMessage } from '../store/channel.ts';
import type { DatabaseOptions } from '../store/database.ts';
import { shrinkInBrowser } from './shrink.ts';

/** The part of a WebSocket that is used. */
export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
}

export type Happening = 'visible' | 'online';

/** A picture as JPEG bytes, its longer edge at most `edgeMax` pixels, without any metadata. */
export type Shrink = (picture: Blob, edgeMax: number, quality: number) => Promise<Blob>;

export interface Ports {
  /** The device's own clock, ms since 1970. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  randomBytes(count: number): Uint8Array;
  fetch(path: string, init: RequestInit): Promise<Response>;
  socket(path: string): Socket;
  subtle: SubtleCrypto;
  /** Null where the browser has none: then every tab leads. */
  locks: Pick<LockManager, 'request'> | null;
  channel(name: string): TabChannel;
  /** Calls `work` once after `ms`; the answer calls it off. */
  later(ms: number, work: () => void): () => void;
  /** Calls `work` before the next frame. */
  frame(work: () => void): void;
  visible(): boolean;
  on(happening: Happening, listener: () => void): () => void;
  shrink: Shrink;
  /** The text in a gzip file; null where the browser cannot unpack one. */
  gunzip: ((bytes: ArrayBuffer) => Promise<string>) | null;
  /** The page may use keys, camera and position. */
  secure: boolean;
  database: DatabaseOptions;
}

export function browserPorts(): Ports {
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    fetch: (path, init) => fetch(path, init),
    socket: (path) => new WebSocket(new URL(path, location.href.replace(/^http/, 'ws'))) as unknown as Socket,
    subtle: crypto.subtle,
    locks: navigator.locks ?? null,
    channel: browserChannel,
    later: (ms, work) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    // A hidden page draws no frames, and still must follow.
    frame: (work) => void (document.hidden ? setTimeout(work, 0) : requestAnimationFrame(work)),
    visible: () => document.visibilityState === 'visible',
    on: listenInBrowser,
    shrink: shrinkInBrowser,
    gunzip: typeof DecompressionStream === 'undefined' ? null : gunzipInBrowser,
    secure: window.isSecureContext,
    database: {},
  };
}

export async function gunzipInBrowser(bytes: ArrayBuffer): Promise<string> {
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(unpacked).text();
}

function browserChannel(name: string): TabChannel {
  if (typeof BroadcastChannel === 'undefined') return NO_CHANNEL;
  const channel = new BroadcastChannel(name);
  return {
    post: (message) => channel.postMessage(message),
    listen: (hear) => channel.addEventListener('message', (event: MessageEvent<TabMessage>) => hear(event.data)),
    close: () => channel.close(),
  };
}

function listenInBrowser(happening: Happening, listener: () => void): () => void {
  const seen = (): void => {
    if (happening === 'online' || document.visibilityState === 'visible') listener();
  };
  const [target, name] = happening === 'online' ? [window, 'online'] : [document, 'visibilitychange'];
  target.addEventListener(name, seen);
  return () => target.removeEventListener(name, seen);
}
