/** What a responder's phone shows: what to do, one order whole, and the form to report back. */

import { app } from '../../app-state.svelte.ts';
import type { Tab } from '../../parts/Tabs.svelte';
import { href } from '../../route.svelte.ts';
import { unsentTab } from '../../shell/unsent-tab.ts';
import { say } from '../../words.svelte.ts';
import type { Screens } from '../screens.ts';
import { finished, ordersOf } from '../shared/order.ts';
import OrderScreen from './OrderScreen.svelte';
import Todo from './Todo.svelte';

function tabs(): Tab[] {
  const todo = app.read((device) =>
    ordersOf(device, device.identity?.unit ?? '').filter((order) => !finished(order)),
  ).length;
  return [
    {
      id: '',
      href: href(),
      label: say('app.tab.todo'),
      icon: 'list',
      badge: todo,
      badgeLabel: say('app.tab.todo_badge', { n: todo }),
    },
    unsentTab(),
    { id: 'me', href: href('me'), label: say('app.tab.me'), icon: 'person' },
  ];
}

export const screens: Screens = { tabs, views: { '': Todo, d: OrderScreen } };
