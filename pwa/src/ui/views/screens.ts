/** What one kind of device shows: its tabs and its screens, chosen by the first part of the route. */

import type { Component } from 'svelte';
import type { Tab } from '../parts/Tabs.svelte';

export interface Screens {
  /** The tabs, with their badges, in order. Called again after any change. */
  tabs: () => Tab[];
  /** Screen by first route part; `''` is home. */
  views: Record<string, Component>;
  /** Drawn over every screen of this kind: an alarm, for one. */
  overlay?: Component;
}
