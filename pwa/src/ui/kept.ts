/** Small choices of one person that outlive a restart. A browser that keeps nothing is no reason to fail. */

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // The choice holds until the page closes.
  }
}
