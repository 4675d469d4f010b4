/** The feedback form without its looks: what a draft holds, what is offered, when it may be saved. */
import { RANKS } from '../../../core/intents.ts';
import type { FeedbackKind, Said } from './acts.ts';
import { recalled, type Order } from './order.ts';
import { stillHolds } from './place.ts';

export const FEEDBACK_KINDS: readonly FeedbackKind[] = ['progress', 'arrive', 'result', 'halt'];

/** What is most likely meant, given where the order stands. */
export function likelyKind(order: Order): FeedbackKind {
  if (recalled(order)) return 'halt';
  if (order.progress.rank >= RANKS.reported!) return 'result';
  return order.progress.rank === RANKS.arrived ? 'arrive' : 'progress';
}

export function emptyDraft(kind: FeedbackKind): Said {
  return { kind, text: '', photos: [], place: '', fix: null };
}

/** The form as it opens: what was begun, with a position only if it is fresh; else an empty one of the likely kind. */
export function openedDraft(found: Said, likely: FeedbackKind, deviceNow: number): Said {
  if (!started(found)) return emptyDraft(likely);
  return { ...found, fix: found.fix && stillHolds(found.fix, deviceNow) ? found.fix : null };
}

/** True once a person put something into it; a position alone came by itself. */
export function started(draft: Said): boolean {
  return Boolean(draft.text.trim() || draft.photos.length || draft.place.trim());
}

/** Something was said or shown; a place alone says nothing. */
export function mayBeSaved(draft: Said): boolean {
  return Boolean(draft.text.trim() || draft.photos.length);
}

/** The text with a ready sentence at its end, once. */
export function withSentence(text: string, sentence: string): string {
  if (text.includes(sentence)) return text;
  return text.trim() ? `${text.trimEnd()} ${sentence}` : sentence;
}
