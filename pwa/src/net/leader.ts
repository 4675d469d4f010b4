/** One tab of a device syncs. When it goes, the lock passes to the next by itself. */

import type { Ports } from './ports.ts';

export class Leader {
  leading = false;
  private readonly ports: Pick<Ports, 'locks'>;
  private readonly name: string;
  private letGo: (() => void) | null = null;
  private ended = false;

  constructor(ports: Pick<Ports, 'locks'>, name: string) {
    this.ports = ports;
    this.name = name;
  }

  /** Calls `lead` once this tab is the one; at once where the browser has no locks. */
  start(lead: () => void): void {
    const begin = (): void => {
      if (this.ended) return;
      this.leading = true;
      lead();
    };
    const { locks } = this.ports;
    if (!locks) return begin();
    const held = locks.request(this.name, () => {
      begin();
      return new Promise<void>((resolve) => {
        this.letGo = resolve;
        if (this.ended) resolve();
      });
    });
    // A browser that refuses locks to this page still must sync.
    held.catch(begin);
  }

  stop(): void {
    this.ended = true;
    this.leading = false;
    this.letGo?.();
  }
}
