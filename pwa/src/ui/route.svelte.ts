/** Hash routes, so that one cached page serves every address: `#/`, `#/d/ID`, `#/me` … */

import { partsOf } from './views/shared/address.ts';

class Route {
  /** The parts of the address: `#/d/1` is `['d', '1']`, `#/` is `[]`. */
  parts = $state<string[]>(partsOf(location.hash));

  constructor() {
    addEventListener('hashchange', () => (this.parts = partsOf(location.hash)));
  }
}

export const route = new Route();

/** Go to a screen, given its parts. */
export function go(...parts: string[]): void {
  location.hash = href(...parts);
}

/** The address of a screen, for links. */
export function href(...parts: string[]): string {
  return '#/' + parts.map(encodeURIComponent).join('/');
}

/** The address now, also before the screen has followed it. */
export function placeNow(): string {
  return href(...partsOf(location.hash));
}
