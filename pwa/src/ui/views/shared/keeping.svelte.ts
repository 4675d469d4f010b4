/** A form that outlives its page: kept while something was begun, and no reload while it is open. */

import { app, type Busy } from '../../app-state.svelte.ts';
import { dropDraft, hasDraft, keepDraft } from './drafts.ts';

interface Keeping {
  /** The form as it is kept; read again after any change of it. */
  value: () => object;
  /** Something was put into it. */
  begun: () => boolean;
  /** A reload would disturb; by default once something was begun. */
  open?: () => boolean;
}

/** Call it while a component is made. The answer gives the draft up, saved or not. */
export function keeping(name: string, { value, begun, open = begun }: Keeping): () => void {
  const reason: Busy = `draft:${name}`;
  const { device } = app;
  let kept = device !== null && hasDraft(device, name);
  let over = false;

  $effect(() => {
    const draft = value();
    const worth = begun();
    if (over || !device) return;
    if (worth) void keepDraft(device, name, draft);
    else if (kept) void dropDraft(device, name);
    kept = worth;
  });
  $effect(() => {
    if (!open()) return;
    app.busy.add(reason);
    return () => app.busy.delete(reason);
  });

  return () => {
    over = true;
    if (device) void dropDraft(device, name);
    app.busy.delete(reason);
  };
}
