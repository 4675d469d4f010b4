/** The machine operator's phone: my machines, one filing, what is not sent. Made for gloves. */

import '../surface-words.ts';
import type { Tab } from '../../parts/Tabs.svelte';
import { href } from '../../route.svelte.ts';
import { unsentTab } from '../../shell/unsent-tab.ts';
import { say } from '../../words.svelte.ts';
import type { Screens } from '../screens.ts';
import Machines from './Machines.svelte';
import Move from './Move.svelte';

function tabs(): Tab[] {
  return [
    { id: '', href: href(), label: say('operator.tab.machines'), icon: 'machine' },
    unsentTab(),
    { id: 'me', href: href('me'), label: say('app.tab.me'), icon: 'person' },
  ];
}

export const screens: Screens = { tabs, views: { '': Machines, move: Move } };
