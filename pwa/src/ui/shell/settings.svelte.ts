/** How the app looks to this person: theme and text size, kept on this device. */

import { keep, kept } from '../kept.ts';

export const THEMES = ['system', 'day', 'night', 'glare'] as const;
export const SIZES = ['normal', 'large', 'xlarge'] as const;
export type Theme = (typeof THEMES)[number];
export type Size = (typeof SIZES)[number];

const THEME = 'lingda.theme';
const SIZE = 'lingda.size';

function chosen<T extends string>(name: string, all: readonly T[], otherwise: T): T {
  return all.find((one) => one === kept(name)) ?? otherwise;
}

class Settings {
  theme = $state<Theme>(chosen(THEME, THEMES, 'system'));
  size = $state<Size>(chosen(SIZE, SIZES, 'normal'));

  useTheme(theme: Theme): void {
    this.theme = theme;
    keep(THEME, theme);
    this.apply();
  }

  useSize(size: Size): void {
    this.size = size;
    keep(SIZE, size);
    this.apply();
  }

  /** Put the choices on the page. */
  apply(): void {
    const { dataset } = document.documentElement;
    if (this.theme === 'system') delete dataset.theme;
    else dataset.theme = this.theme;
    if (this.size === 'normal') delete dataset.size;
    else dataset.size = this.size;
  }
}

export const settings = new Settings();
