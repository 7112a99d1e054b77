/** The end of a relay's guest: SIGTERM to its first process reaches everybody, and the guest is gone once they are. */
import { expect, it } from 'vitest';
import { echoLines } from './proxy-host.ts';
import { finish, reasonToSkip, startGuest, until } from './test-guest.ts';

const reason = reasonToSkip();

it.skipIf(reason !== null)(
  'lets commands end by themselves, wakes stopped ones, and ends with the last',
  async () => {
    const guest = await startGuest({ proxy: echoLines });
    try {
      // A shell that has forked and not become `sleep` yet can take the signal for its own, which ends nothing.
      const child = guest.start([
        ...['run', '--id', 'polite', '--', 'sh', '-c'],
        'trap "sleep 0.3; echo saved; exit 5" TERM; setsid sleep 300 & sh -c "kill -STOP \\$\\$" & until grep -qs "^sleep" /proc/[0-9]*/cmdline; do :; done; echo up; while :; do sleep 0.05; done',
      ]);
      const command = finish(child);
      let text = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      await until(() => text.includes('up'), 'the trap');
      const started = Date.now();
      process.kill(guest.pid, 'SIGTERM');
      expect(await command).toMatchObject({ code: 5, stdout: 'up\nsaved\n' });
      expect(await guest.ended).toMatchObject({ code: 0 });
      expect(Date.now() - started).toBeLessThan(10_000);
    } finally {
      await guest.close();
    }
  },
);

it.skipIf(reason !== null)('serves as the first process of a guest alone', async () => {
  const guest = await startGuest({ proxy: echoLines });
  try {
    expect(await guest.relay(['serve'])).toMatchObject({ code: 2 });
    expect((await guest.relay(['mode'])).stdout).toBe('redirect\n');
  } finally {
    await guest.close();
  }
});
