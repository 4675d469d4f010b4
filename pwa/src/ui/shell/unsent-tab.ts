/** The tab 未同步, the same on every kind of device. */

import { app } from '../app-state.svelte.ts';
import type { Tab } from '../parts/Tabs.svelte';
import { href } from '../route.svelte.ts';
import { say } from '../words.svelte.ts';
import { unseenOf, unsentOf } from './sync-words.ts';

/** It counts what waits, photos too, and what a person must look at. */
export function unsentTab(): Tab {
  const n = app.read((device) => unsentOf(device.status) + unseenOf(device));
  return {
    id: 'unsent',
    href: href('unsent'),
    label: say('app.tab.unsent'),
    icon: 'sync',
    badge: n,
    badgeLabel: say('app.tab.unsent_badge', { n }),
  };
}
