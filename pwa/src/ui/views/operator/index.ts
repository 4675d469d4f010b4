/** The machine operator's phone: my machines, one filing, what is not sent. Made for gloves. */

import { app } from '../../app-state.svelte.ts';
import type { Tab } from '../../parts/Tabs.svelte';
import { href } from '../../route.svelte.ts';
import { say } from '../../words.svelte.ts';
import type { Screens } from '../screens.ts';
import Machines from './Machines.svelte';
import Move from './Move.svelte';

function tabs(): Tab[] {
  const unsent = app.read((device) => device.status.waiting + device.refused().length);
  return [
    { id: '', href: href(), label: say('operator.tab.machines'), icon: 'machine' },
    {
      id: 'unsent',
      href: href('unsent'),
      label: say('app.tab.unsent'),
      icon: 'sync',
      badge: unsent,
      badgeLabel: say('app.tab.unsent_badge', { n: unsent }),
    },
    { id: 'me', href: href('me'), label: say('app.tab.me'), icon: 'person' },
  ];
}

export const screens: Screens = { tabs, views: { '': Machines, move: Move } };
