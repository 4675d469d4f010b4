/** How many bytes fit into about two seconds, from what the last transfers took. */

export const TRANSFER_MS = 2_000;

export class Rate {
  private bytesPerMs: number;

  constructor(bytesPerMs: number) {
    this.bytesPerMs = bytesPerMs;
  }

  /** Half the old figure and half the new one; transfers too small to tell anything are left out. */
  measured(bytes: number, ms: number): void {
    if (bytes < TELLING_BYTES_MIN) return;
    this.bytesPerMs = (this.bytesPerMs + bytes / Math.max(1, ms)) / 2;
  }

  /** A failed transfer: be careful for a while. */
  failed(): void {
    this.bytesPerMs /= 2;
  }

  bytes(least: number, most: number): number {
    return Math.max(least, Math.min(most, Math.floor(this.bytesPerMs * TRANSFER_MS)));
  }
}

const TELLING_BYTES_MIN = 4_096;
