import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/**
 * Node only: pure modules run as they are, components are rendered to HTML by Svelte's server side. A test that hangs
 * fails; one that is slow because the machine is busy does not.
 */
export default defineConfig({
  plugins: [svelte()],
  test: { include: ['tests/**/*.test.ts'], environment: 'node', testTimeout: 60_000 },
});
