/** Progress and clocks: folds of facts, computed the same way on both sides. */

import { byText } from './canonical.ts';
import type { Row } from './contract.ts';
import { RULE_RECALL_ARRIVED, RULE_RECALL_BLIND, recallRule } from './recall.ts';
import { RANKS, STEPS, type StepName } from './intents.ts';

export const FIRST_ROUND = 1;

/** One step as a fact: device time, arrival time (0 while it is only here), person and route. */
export interface Mark {
  step: StepName;
  at: number;
  arrived: number;
  actor: string;
  route: string;
  round: number;
  version: number;
  dot: string;
}

/** A deadline: when it began, when it is due, and when it was met (null while it runs). */
export interface Clock {
  name: string;
  since: number;
  due: number;
  met: number | null;
}

export type RecallState = 'none' | 'recalling' | 'stopped' | 'done_before' | 'contested' | 'accepted';

/**
 * Where one target stands in its current round.
 *
 * `marks` are the current round's first fact of each step; an implied step has none. `old` are the steps of other
 * rounds and older versions, shown and never counted; `witnesses` are further facts of a step that has its mark.
 * `blind` tells that a signer did not know of the recall.
 */
export interface Progress {
  round: number;
  step: StepName;
  rank: number;
  marks: Partial<Record<StepName, Mark>>;
  old: Mark[];
  witnesses: Mark[];
  recall: RecallState;
  recallId: string | null;
  blind: boolean;
  clocks: Clock[];
}

/** All facts that name one target. */
export interface Facts {
  steps: readonly Row[];
  rounds: readonly Row[];
  recalls: readonly Row[];
  stops: readonly Row[];
  rulings: readonly Row[];
  feedback: readonly Row[];
}

type Marks = Partial<Record<StepName, Mark>>;

const rankOf = (step: string): number => RANKS[step] ?? 0;
const listOf = (marks: Marks): Mark[] => Object.values(marks);
const byAt = (a: Row, b: Row): number => a.fields.at - b.fields.at || byText(a.dot, b.dot);

function newest(rows: readonly Row[], compare: (a: Row, b: Row) => number): Row | null {
  return rows.reduce<Row | null>((best, row) => (best === null || compare(row, best) > 0 ? row : best), null);
}

function least(times: number[]): number | null {
  return times.length ? Math.min(...times) : null;
}

/** The round that counts now: the highest that the centre opened. */
export function roundOf(rounds: readonly Row[]): number {
  return Math.max(FIRST_ROUND, ...rounds.map((row) => row.fields.round as number));
}

/** Fold one target's facts. The order in which they came makes no difference. */
export function progressOf(directive: Row, facts: Facts): Progress {
  const round = roundOf(facts.rounds);
  const every = facts.steps.map(markOf).sort((a, b) => a.at - b.at || byText(a.dot, b.dot));
  const counts = (mark: Mark): boolean => mark.round === round && mark.version >= directive.fields.version;
  const marks: Marks = {};
  for (const mark of every) if (counts(mark)) marks[mark.step] ??= mark;
  const said = facts.feedback.filter((row) => row.fields.round === round);
  const ranks = listOf(marks).map((mark) => rankOf(mark.step));
  if (said.some(isProgress)) ranks.push(RANKS.acting!);
  const rank = Math.max(0, ...ranks);
  return {
    round,
    step: STEPS[rank]!,
    rank,
    marks,
    old: every.filter((mark) => !counts(mark)),
    witnesses: every.filter((mark) => counts(mark) && marks[mark.step] !== mark),
    ...recallOf(facts, round, marks),
    clocks: clocksOf(directive, facts, round, marks),
  };
}

/** The device's time of a fact, never after it arrived. */
const atOf = ({ fields, arrived }: Row): number => (arrived ? Math.min(fields.at, arrived) : fields.at);

function markOf(row: Row): Mark {
  const { step, route, round, version } = row.fields;
  return { step, at: atOf(row), arrived: row.arrived, actor: row.actor, route, round, version, dot: row.dot };
}

/** The state of the newest recall of this round, its id, and whether somebody signed blind. */
function recallOf(facts: Facts, round: number, marks: Marks): Pick<Progress, 'recall' | 'recallId' | 'blind'> {
  const recalls = facts.recalls.filter((row) => row.fields.round === round);
  const recall = newest(recalls, byAt);
  if (!recall) return { recall: 'none', recallId: null, blind: false };
  const rules = listOf(marks)
    .filter((mark) => rankOf(mark.step) > recall.fields.rank_seen && rankOf(mark.step) >= RANKS.signed!)
    .map((mark) => recallRule(recall.fields, { step: mark.step, at: mark.at }));
  return {
    recall: recallState(facts, recall, rules.includes(RULE_RECALL_ARRIVED)),
    recallId: recall.id,
    blind: rules.includes(RULE_RECALL_BLIND),
  };
}

function recallState(facts: Facts, recall: Row, contested: boolean): RecallState {
  const about = (row: Row): boolean => row.fields.recall === recall.id;
  const ruling = newest(facts.rulings.filter(about), byAt);
  if (ruling?.fields.verdict === 'accept_result') return 'accepted';
  if (facts.stops.some(about)) return 'stopped';
  if (recall.fields.rank_seen >= RANKS.reported!) return 'done_before';
  return contested && !ruling ? 'contested' : 'recalling';
}

/** Deadlines of the current round, each from the event that starts it. */
function clocksOf(directive: Row, facts: Facts, round: number, marks: Marks): Clock[] {
  const allowed: Record<string, number> = directive.fields.clocks;
  const ofRound = (row: Row): boolean => row.fields.round === round;
  const start = least(facts.rounds.filter(ofRound).map((row) => row.fields.at)) ?? (directive.fields.at as number);
  const feedback = facts.feedback.filter(ofRound);
  const reached: Reached[] = listOf(marks).map((mark) => [rankOf(mark.step), mark.at]);
  for (const row of feedback) if (isProgress(row)) reached.push([RANKS.acting!, atOf(row)]);
  const said = feedback.map(atOf).sort((a, b) => a - b);
  const [done, signed] = [met(reached, 'reported'), marks.signed?.at ?? null];
  const running: [string, number | null, number | null][] = [
    ['receipt', start, met(reached, 'received')],
    ['sign', start, met(reached, 'signed')],
    ['depart', signed, met(reached, 'departed')],
    ['arrive', signed, met(reached, 'arrived')],
    ['first_feedback', signed, said[0] ?? done],
    ['feedback_every', said[said.length - 1] ?? null, done],
  ];
  const clocks: Clock[] = [];
  for (const [name, since, metAt] of running) {
    const ms = allowed[name];
    if (ms !== undefined && since !== null) clocks.push({ name, since, due: since + ms, met: metAt });
  }
  const due = directive.fields.close_due;
  if (due) clocks.push({ name: 'close', since: start, due, met: met(reached, 'closed') });
  return clocks;
}

/** A rank, and when a fact reached it. */
type Reached = [rank: number, at: number];

/** When a step was reached: by its own fact, or by the first fact above it that implies it. */
function met(reached: readonly Reached[], step: StepName): number | null {
  return least(reached.filter(([rank]) => rank >= rankOf(step)).map(([, at]) => at));
}

/** Whoever tells of progress is 处置中, whatever step they forgot to tap. */
const isProgress = (feedback: Row): boolean => feedback.fields.kind === 'progress';

/** Late: still running past its due time, or met after it. */
export function overdue(clock: Clock, nowMs: number): boolean {
  return (clock.met ?? nowMs) > clock.due;
}
