import { svelte } from '@sveltejs/vite-plugin-svelte';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { appWords } from './vite/app-words.ts';
import { ownServiceWorker, sharedFiles } from './vite/own-sw.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The oldest browsers we promise: duty hosts are old PCs. One list for the app and the service worker. */
const target = ['chrome90', 'safari15.4', 'firefox100'];

export default defineConfig({
  base: '/app/',
  // The same library without what browsers older than ours need.
  resolve: { alias: { dexie: here('node_modules/dexie/dist/modern/dexie.mjs') } },
  publicDir: false,
  plugins: [
    appWords(),
    svelte(),
    sharedFiles(here('../static')),
    ownServiceWorker({ source: here('src/sw/sw.ts'), target }),
  ],
  build: {
    outDir: here('../static/app'),
    emptyOutDir: true,
    manifest: true,
    target,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { fs: { allow: [here('..')] } },
});
