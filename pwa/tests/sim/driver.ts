/**
 * The app's core, driven over stdio: one JSON text a line in, one out. A line with `ask` is a question back, and the
 * next line is its answer.
 */

import { createInterface } from 'node:readline';
import type { Value } from '../../src/core/contract.ts';
import { SimDevice, type Outside } from './device.ts';
import { FOLDS } from './folds.ts';

type Command = Record<string, Value> & { do: string };

const devices = new Map<string, SimDevice>();
const waiting: ((answer: Value) => void)[] = [];

function tell(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function ask(question: Record<string, unknown>): Promise<Value> {
  tell(question);
  return new Promise((resolve) => waiting.push(resolve));
}

const outside: Outside = {
  sign: (text) => ask({ ask: 'sign', text }),
  part: (sha256) => ask({ ask: 'part', sha256 }),
};

const WORK: Record<string, (device: SimDevice, command: Command) => unknown> = {
  write: (device, { intent, changes, now }) => device.write(intent, changes, now),
  fill: (device, { intent, changes, now }) => device.writeWithoutRoom(intent, changes, now),
  request: (device, { now }) => device.request(now),
  receive: (device, { body, asked, times }) => device.receive(body, asked, times),
  crash: (device, { lost }) => device.crash(lost),
  corrupt: (device, { pick }) => device.corrupt(pick),
  spoil: (device, { pick }) => device.spoil(pick),
  recheck: (device) => device.recheckAll(),
  seen: (device) => device.seen(),
  shown: (device, { entity }) => device.shown(entity),
  unflushed: (device) => device.unflushed,
  offset: (device) => device.offset,
};

async function obey(command: Command): Promise<unknown> {
  if (command.do === 'fold') return command.cases.map(([name, given]: [string, Value]) => FOLDS[name]!(given));
  if (command.do === 'forget') {
    for (const device of devices.values()) device.stop();
    devices.clear();
    return null;
  }
  if (command.do === 'enrol') {
    devices.set(command.of, await SimDevice.enrolled(command.identity, command.offset, outside));
    return null;
  }
  const device = devices.get(command.of)!;
  const told = await WORK[command.do]!(device, command);
  await device.settle();
  return told ?? null;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line) as Value;
  const answered = 'answer' in message ? waiting.shift() : undefined;
  if (answered) return answered(message.answer);
  obey(message).then(
    (told) => tell({ told }),
    (error: Error) => tell({ error: error.stack ?? String(error) }),
  );
});
