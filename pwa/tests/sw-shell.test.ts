import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheName, fileFor, fill, isHashed, staleCaches, type ShellFile } from '../src/sw/shell.ts';
import { shellFiles } from '../vite/own-sw.ts';

const SCOPE = 'https://centre.test/app/';
const paths = new Set(['index.html', 'assets/index-abc.js', 'icons/icon.svg']);
const asked = (url: string, mode = 'no-cors', method = 'GET') => ({ url, mode, method });

describe('what the shell answers', () => {
  it('every navigation inside the scope with index.html', () => {
    for (const end of ['', '?source=home', '#/d/1', 'deep/link'])
      expect(fileFor(asked(SCOPE + end, 'navigate'), SCOPE, paths)).toBe('index.html');
  });

  it('its own files, with or without a query', () => {
    expect(fileFor(asked(`${SCOPE}assets/index-abc.js`), SCOPE, paths)).toBe('assets/index-abc.js');
    expect(fileFor(asked(`${SCOPE}icons/icon.svg?v=2`), SCOPE, paths)).toBe('icons/icon.svg');
  });

  it('never the API, the desk, the base map, another origin, an unknown file or a write', () => {
    const origin = 'https://centre.test';
    for (const url of [
      `${origin}/v1/pull`,
      `${origin}/desk`,
      `${origin}/basemap/x`,
      'https://other.test/app/index.html',
    ])
      expect(fileFor(asked(url, 'navigate'), SCOPE, paths)).toBeNull();
    expect(fileFor(asked(`${SCOPE}sw.js`), SCOPE, paths)).toBeNull();
    expect(fileFor(asked(`${SCOPE}index.html`, 'navigate', 'POST'), SCOPE, paths)).toBeNull();
  });
});

describe('caches', () => {
  it('names only our own old ones as stale', () => {
    const names = [cacheName('a'), cacheName('b'), 'basemap-1'];
    expect(staleCaches(names, cacheName('b'))).toEqual([cacheName('a')]);
  });

  it('takes hashed files from an older cache, fetches the rest past the HTTP cache, with integrity', async () => {
    const storage = new FakeStorage();
    const old = await storage.open(cacheName('a'));
    await old.put(`${SCOPE}assets/index-abc.js`, new Response('js'));
    await old.put(`${SCOPE}index.html`, new Response('old page'));
    const files: ShellFile[] = [
      ['assets/index-abc.js', 'sha256-js', 0],
      ['assets/index-new.css', 'sha256-css', 0],
      ['index.html', 'sha256-html', 0],
    ];
    const got: [string, RequestInit][] = [];
    const get = async (url: unknown, init: unknown) => {
      got.push([String(url), init as RequestInit]);
      return new Response('new');
    };
    await fill(storage as unknown as CacheStorage, cacheName('b'), SCOPE, files, get as typeof fetch);
    expect(got.sort(([a], [b]) => a.localeCompare(b))).toEqual([
      [`${SCOPE}assets/index-new.css`, { cache: 'default', integrity: 'sha256-css' }],
      [`${SCOPE}index.html`, { cache: 'no-store', integrity: 'sha256-html' }],
    ]);
    const now = await storage.open(cacheName('b'));
    expect(await (await now.match(`${SCOPE}assets/index-abc.js`))?.text()).toBe('js');
    expect(await (await now.match(`${SCOPE}index.html`))?.text()).toBe('new');
  });

  it('fails as a whole when one file is missing, so the old version stays in charge', async () => {
    const get = (async () => new Response('', { status: 404 })) as typeof fetch;
    const storage = new FakeStorage() as unknown as CacheStorage;
    await expect(fill(storage, cacheName('b'), SCOPE, [['index.html', '', 0]], get)).rejects.toThrow('index.html: 404');
  });
});

describe('the list of files', () => {
  it('holds everything served but the worker and the manifest of the build; lazy is what the entry does not reach', () => {
    const root = mkdtempSync(join(tmpdir(), 'shell-'));
    for (const folder of ['assets', '.vite', 'icons']) mkdirSync(join(root, folder));
    for (const path of [
      'sw.js',
      '.vite/manifest.json',
      'index.html',
      'assets/a-1.js',
      'assets/map-2.js',
      'icons/i.svg',
    ])
      writeFileSync(join(root, path), path);
    const files = shellFiles(root, new Set(['assets/a-1.js']));
    expect(files.map(([path, , lazy]) => [path, lazy])).toEqual([
      ['assets/a-1.js', 0],
      ['assets/map-2.js', 1],
      ['icons/i.svg', 0],
      ['index.html', 0],
    ]);
    for (const [, integrity] of files) expect(integrity).toMatch(/^sha256-[A-Za-z0-9+/]{43}=$/);
    expect(files.filter(([path]) => isHashed(path))).toHaveLength(2);
  });
});

/** As much of CacheStorage as the shell uses. */
class FakeStorage {
  readonly caches = new Map<string, Map<string, Response>>();

  async open(name: string) {
    const store = this.caches.get(name) ?? new Map<string, Response>();
    this.caches.set(name, store);
    return {
      match: async (url: string) => store.get(url)?.clone(),
      put: async (url: string, response: Response) => void store.set(url, response),
    };
  }
  async match(url: string) {
    for (const store of this.caches.values()) if (store.has(url)) return store.get(url)!.clone();
    return undefined;
  }
}
