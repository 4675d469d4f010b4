import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin, type Rolldown } from 'vite';
import type { ShellFile } from '../src/sw/shell.ts';

/** What both faces share and the app needs offline, copied from static/ under the same names. */
const SHARED = ['manifest.webmanifest', 'icons', 'sounds'];

/** Never part of the offline shell: the worker itself and the map of assets for the server. */
const NOT_SHELL = [/^sw\.js$/, /^\.vite\//];

/** Copies the shared files into the build, and htmx beside it for the desk (static/vendor, not committed). */
export function sharedFiles(root: string): Plugin {
  return {
    name: 'lingda-shared-files',
    apply: 'build',
    generateBundle() {
      for (const path of SHARED.flatMap((name) => filesUnder(join(root, name)))) {
        this.emitFile({ type: 'asset', fileName: slashes(relative(root, path)), source: readFileSync(path) });
      }
      const htmx = fileURLToPath(import.meta.resolve('htmx.org/dist/htmx.min.js'));
      mkdirSync(join(root, 'vendor'), { recursive: true });
      cpSync(htmx, join(root, 'vendor/htmx.min.js'));
    },
  };
}

/**
 * Builds sw.js after the bundle is on disk, with the list of every file of it.
 * The list is exact by construction: it is read from the folder that will be served.
 */
export function ownServiceWorker({ source, target }: { source: string; target: string[] }): Plugin {
  let outDir = '';
  let base = '/';
  return {
    name: 'lingda-own-sw',
    apply: 'build',
    configResolved(config) {
      outDir = config.build.outDir;
      base = config.base;
    },
    writeBundle: {
      sequential: true,
      order: 'post',
      async handler(_options, bundle) {
        const files = shellFiles(outDir, firstLoad(bundle));
        await build({
          configFile: false,
          publicDir: false,
          logLevel: 'warn',
          base,
          define: {
            __SHELL_FILES__: JSON.stringify(files),
            __SHELL_VERSION__: JSON.stringify(digest('hex', JSON.stringify(files)).slice(0, 12)),
          },
          build: {
            outDir,
            emptyOutDir: false,
            target,
            lib: { entry: source, formats: ['iife'], name: 'sw', fileName: () => 'sw.js' },
          },
        });
      },
    },
  };
}

/** Every served file with its integrity; hashed files that the first screen does not need are lazy. */
export function shellFiles(outDir: string, first: Set<string>): ShellFile[] {
  return filesUnder(outDir)
    .map((path) => slashes(relative(outDir, path)))
    .filter((path) => !NOT_SHELL.some((pattern) => pattern.test(path)))
    .sort()
    .map((path) => [
      path,
      `sha256-${digest('base64', readFileSync(join(outDir, path)))}`,
      path.startsWith('assets/') && !first.has(path) ? 1 : 0,
    ]);
}

/** Names of all files that the entry reaches without a dynamic import. */
function firstLoad(bundle: Rolldown.OutputBundle): Set<string> {
  const seen = new Set<string>();
  const visit = (name: string) => {
    const item = bundle[name];
    if (seen.has(name) || !item) return;
    seen.add(name);
    if (item.type !== 'chunk') return;
    item.viteMetadata?.importedCss.forEach((css) => seen.add(css));
    item.viteMetadata?.importedAssets.forEach((asset) => seen.add(asset));
    item.imports.forEach(visit);
  };
  for (const item of Object.values(bundle)) if (item.type === 'chunk' && item.isEntry) visit(item.fileName);
  return seen;
}

/** The file itself, or every file below the folder; nothing when it does not exist. */
function filesUnder(path: string): string[] {
  if (!existsSync(path)) return [];
  return statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesUnder(join(path, name))) : [path];
}

const slashes = (path: string) => path.split(sep).join('/');
const digest = (form: 'hex' | 'base64', data: string | Buffer) => createHash('sha256').update(data).digest(form);
