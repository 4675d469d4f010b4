import { describe, expect, it, vi } from 'vitest';
import { LANE_0_MUTATION_BYTES_MAX, type Change } from '../../src/core/contract.ts';
import { checkForm } from '../../src/core/mutation.ts';
import { addFeedback, callHelp, confirmStop, markRead, takeStep } from '../../src/ui/views/shared/acts.ts';
import { anOrder, NOON, recallOf } from './rows.ts';

const FIX = { lat_e6: 45_760_000, lon_e6: 126_640_000, accuracy_m: 12, at: NOON };
const LANES: Record<string, number> = { 'feedback.add': 1 };

function writer() {
  const written: { intent: string; changes: Change[] }[] = [];
  const write = vi.fn(async (intent: string, changes: Change[]) => {
    written.push({ intent, changes });
    return 'dot';
  });
  const writeOnce = vi.fn((_key: string, intent: string, changes: Change[]) => write(intent, changes));
  return { device: { newId: () => crypto.randomUUID(), now: () => NOON, write, writeOnce }, written };
}

/** What the core would make of it: the form that every server judges. */
function mutationOf({ intent, changes }: { intent: string; changes: Change[] }) {
  const stamp = '000000000001-0000-r';
  const lane = LANES[intent] ?? 0;
  const who = { replica: 'r', lane, n: 1, prev: '', realm: 'realm', stamp, session: 's', actor: 'a' };
  return { ...who, intent, changes, base: {}, after: [], guard: [], schema: 1 };
}

describe('what a person does', () => {
  it('has the form that the centre takes', async () => {
    const { device, written } = writer();
    const order = anOrder({ facts: [recallOf()] });
    await takeStep(device, order, 'signed');
    await confirmStop(device, order);
    await addFeedback(device, order, { kind: 'progress', text: ' ok ', photos: [], place: '', fix: FIX });
    await callHelp(device, 'u', { target: null, text: '', fix: FIX });
    for (const one of written) expect(() => checkForm(mutationOf(one))).not.toThrow();
    expect(written[2]!.changes[0]!.fields).toMatchObject({ text: 'ok', place: null, accuracy_m: 12 });
  });
  it('keeps a call for help small enough for the fastest lane', async () => {
    const { device, written } = writer();
    await callHelp(device, crypto.randomUUID(), { target: crypto.randomUUID(), text: '急'.repeat(200), fix: FIX });
    const bytes = new TextEncoder().encode(JSON.stringify(mutationOf(written[0]!))).length;
    expect(bytes).toBeLessThanOrEqual(LANE_0_MUTATION_BYTES_MAX);
  });
});

describe('opening an order', () => {
  it('is read once, though the screen is drawn again before it is saved', async () => {
    const { device, written } = writer();
    const order = anOrder({ id: 'once' });
    await Promise.all([markRead(device, order), markRead(device, order)]);
    expect(written.map(({ changes }) => changes[0]!.fields.step)).toEqual(['read']);
  });
  it('is no news once it was read or signed', async () => {
    const { device, written } = writer();
    await markRead(device, anOrder({ id: 'known', steps: ['signed'] }));
    expect(written).toEqual([]);
  });
  it('is tried again when it could not be saved', async () => {
    const { device } = writer();
    device.write.mockRejectedValueOnce(new Error('disk'));
    const order = anOrder({ id: 'again' });
    await markRead(device, order);
    await markRead(device, order);
    expect(device.write).toHaveBeenCalledTimes(2);
  });
});
