import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { askToEnd, guestProcesses } from '../../../../controller/backends/linux/guest-processes.ts';

it('takes no process of the host for a guest\u2019s, whatever it is told is the init', async () => {
  const bystander = spawn('sleep', ['30'], { stdio: 'ignore' });
  await once(bystander, 'spawn');
  expect(guestProcesses(process.pid)).toEqual([]);
  await askToEnd(bystander.pid ?? 0, process.pid, 200);
  expect(bystander.signalCode).toBeNull();
  bystander.kill('SIGKILL');
});

it('finds nothing where the init has ended', () => {
  expect(guestProcesses(2 ** 22 + 1)).toEqual([]);
});
