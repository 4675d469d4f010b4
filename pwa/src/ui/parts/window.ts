/** The slice of a long list that has to be in the page. */
export interface Span {
  start: number;
  end: number;
}

/** Rows [start, end) that touch the viewport, plus `overscan` on both sides, clipped to the list. */
export function visibleSpan(top: number, height: number, row: number, count: number, overscan: number): Span {
  if (row <= 0 || count <= 0) return { start: 0, end: 0 };
  const first = Math.floor(Math.max(0, top) / row);
  const last = Math.ceil((Math.max(0, top) + height) / row);
  const start = Math.min(Math.max(0, first - overscan), count);
  return { start, end: Math.max(start, Math.min(count, last + overscan)) };
}
