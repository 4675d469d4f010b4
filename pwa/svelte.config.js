import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** Runes everywhere, so that no file falls back to the old reactivity by accident. */
export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true },
};
