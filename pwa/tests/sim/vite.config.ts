/** Bundles the driver for Node; packages stay where they are installed. */

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('../..'),
  publicDir: false,
  logLevel: 'warn',
  build: { ssr: here('driver.ts'), target: 'node20', minify: false, emptyOutDir: false },
});
