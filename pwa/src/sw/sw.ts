/**
 * Serves the shell of the app without a network. It knows a list of files and nothing else:
 * no user data, no API, no outbox. A new version waits until the page asks for it.
 */
import { cacheName, fileFor, fill, staleCaches, type ShellFile } from './shell.ts';

declare const self: ServiceWorkerGlobalScope;
declare const __SHELL_FILES__: ShellFile[];
declare const __SHELL_VERSION__: string;

const files = __SHELL_FILES__;
const paths = new Set(files.map(([path]) => path));
const current = cacheName(__SHELL_VERSION__);
const scope = self.registration.scope;
const get: typeof fetch = (input, init) => fetch(input, init);

self.addEventListener('install', (event) => {
  const first = files.filter(([, , lazy]) => !lazy);
  event.waitUntil(fill(caches, current, scope, first, get));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(takeOver());
});

/** Lazy files that were in an old cache are carried over before it goes, so a map that worked offline still does. */
async function takeOver(): Promise<void> {
  const old = staleCaches(await caches.keys(), current);
  const kept: ShellFile[] = [];
  for (const file of files) if (file[2] && (await caches.match(scope + file[0]))) kept.push(file);
  await fill(caches, current, scope, kept, get);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener('message', (event) => {
  const { type } = (event.data ?? {}) as { type?: string };
  if (type === 'apply-update') void self.skipWaiting();
  if (type === 'fill-lazy') {
    const all = fill(caches, current, scope, files, get).then(
      () => true,
      () => false,
    );
    event.waitUntil(all.then((complete) => event.source?.postMessage({ type: 'lazy-filled', complete })));
  }
});

self.addEventListener('fetch', (event) => {
  const path = fileFor(event.request, scope, paths);
  if (path) event.respondWith(answer(path, event.request));
});

async function answer(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(current);
  return (await cache.match(scope + path, { ignoreVary: true })) ?? fetch(request);
}
