/** The screens that every kind of device has beside its own: what is not sent, and who I am here. */

import type { Screens } from '../views/screens.ts';
import Me from './Me.svelte';
import UnsentTray from './UnsentTray.svelte';

export const views: Screens['views'] = { unsent: UnsentTray, me: Me };
