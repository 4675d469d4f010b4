/** Everything unsent, into a file in the person's hands. */

import { app } from '../app-state.svelte.ts';
import { fileTime } from '../views/shared/ages.ts';
import { say } from '../words.svelte.ts';
import { handOver } from './export.ts';

let exporting = false;

export async function exportUnsent(): Promise<void> {
  if (exporting) return;
  exporting = true;
  try {
    const blob = await app.read((device) => device.exportUnsent());
    const name = `lingda-unsent-${fileTime(app.now)}.json`;
    if (await handOver(blob, name, say('app.unsent.export_text'))) app.say(say('app.unsent.exported', { name }));
  } catch {
    app.say(say('app.unsent.export_failed'));
  } finally {
    exporting = false;
  }
}
