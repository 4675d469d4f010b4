/** The duty-room tablet: the board, the shift, the register, the conflicts; an alarm over all of them. */

import '../surface-words.ts';
import { app } from '../../app-state.svelte.ts';
import type { Tab } from '../../parts/Tabs.svelte';
import { href } from '../../route.svelte.ts';
import { unsentTab } from '../../shell/unsent-tab.ts';
import { say } from '../../words.svelte.ts';
import Move from '../operator/Move.svelte';
import type { Screens } from '../screens.ts';
import { ordersOf } from '../shared/order.ts';
import { columnOf } from './board.ts';
import Board from './Board.svelte';
import Conflicts from './Conflicts.svelte';
import Detail from './Detail.svelte';
import { openDisputes } from './disputes.ts';
import Overlay from './Overlay.svelte';
import Register from './Register.svelte';
import ShiftScreen from './ShiftScreen.svelte';

function tabs(): Tab[] {
  const { unsigned, disputed } = app.read((device) => {
    const unit = device.identity!.unit;
    return {
      unsigned: ordersOf(device, unit).filter((order) => columnOf(order) === 'to_sign').length,
      disputed: openDisputes(device, unit).filter((dispute) => !dispute.decidedHere).length,
    };
  });
  return [
    {
      id: '',
      href: href(),
      label: say('tablet.tab.board'),
      icon: 'list',
      badge: unsigned,
      badgeLabel: say('tablet.tab.board_badge', { n: unsigned }),
    },
    { id: 'shift', href: href('shift'), label: say('tablet.tab.shift'), icon: 'bell' },
    { id: 'register', href: href('register'), label: say('tablet.tab.register'), icon: 'people' },
    {
      id: 'conflicts',
      href: href('conflicts'),
      label: say('tablet.tab.conflicts'),
      icon: 'alert',
      badge: disputed,
      badgeLabel: say('tablet.tab.conflicts_badge', { n: disputed }),
    },
    unsentTab(),
    { id: 'me', href: href('me'), label: say('app.tab.me'), icon: 'person' },
  ];
}

export const screens: Screens = {
  tabs,
  views: { '': Board, shift: ShiftScreen, d: Detail, register: Register, conflicts: Conflicts, move: Move },
  overlay: Overlay,
};
