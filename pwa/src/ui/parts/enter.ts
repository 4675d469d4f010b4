/** The part of a key event that tells a real Enter from the one that picks a word in an input method. */
export interface KeyLike {
  key: string;
  isComposing: boolean;
  keyCode: number;
}

/** True for an Enter that the person meant. Safari reports the last key of a composition only as keyCode 229. */
export const isRealEnter = (event: KeyLike): boolean =>
  event.key === 'Enter' && !event.isComposing && event.keyCode !== 229;
