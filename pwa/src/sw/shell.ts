/** One file of the shell: path below the scope, integrity as fetch() takes it, 1 when the first screen does without. */
export type ShellFile = [path: string, integrity: string, lazy: 0 | 1];

/** The parts of a request that decide whether the shell answers it. */
export interface Asked {
  method: string;
  mode: string;
  url: string;
}

const PREFIX = 'lingda-shell-';

/** One cache per content: two builds of the same bytes share it. */
export const cacheName = (version: string): string => PREFIX + version;

/** Our caches that an activated version no longer needs. Caches of others are never named. */
export const staleCaches = (names: readonly string[], current: string): string[] =>
  names.filter((name) => name.startsWith(PREFIX) && name !== current);

/** A hashed file never changes under its name, so an older cache holds the same bytes. */
export const isHashed = (path: string): boolean => path.startsWith('assets/');

/**
 * The shell file that answers a request, or null: then the browser asks the network as if we were not there.
 * Hash routes make index.html the answer to every navigation inside the scope; nothing outside is touched.
 */
export function fileFor(asked: Asked, scope: string, paths: ReadonlySet<string>): string | null {
  if (asked.method !== 'GET' || !asked.url.startsWith(scope)) return null;
  if (asked.mode === 'navigate') return 'index.html';
  const path = asked.url.slice(scope.length).split(/[?#]/, 1)[0] ?? '';
  return paths.has(path) ? path : null;
}

/**
 * Puts files into the cache, each checked against its integrity, so a shell is whole or is not installed.
 * What is already there stays; hashed files are copied from an older cache; the rest skips the HTTP cache.
 */
export async function fill(
  storage: CacheStorage,
  name: string,
  scope: string,
  files: readonly ShellFile[],
  get: typeof fetch,
): Promise<void> {
  const cache = await storage.open(name);
  const add = async ([path, integrity]: ShellFile) => {
    const url = scope + path;
    if (await cache.match(url)) return;
    const kept = isHashed(path) ? await storage.match(url) : undefined;
    const response = kept ?? (await get(url, { cache: isHashed(path) ? 'default' : 'no-store', integrity }));
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    await cache.put(url, response);
  };
  await Promise.all(files.map(add));
}
