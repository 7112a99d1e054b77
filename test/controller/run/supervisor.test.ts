import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import { formatReply, replyOf, startSupervisor } from '../../../controller/run/supervisor.ts';

const argument = process.argv[1];
const folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
afterEach(() => {
  process.argv[1] = argument ?? '';
  rmSync(folder, { recursive: true, force: true });
});

/** A program in the place of sand, which is told what a supervisor is told. */
async function supervise(program: string) {
  const said: string[] = [];
  const path = join(mkdtempSync(join(tmpdir(), 'supervisor-')), 'sand.mjs');
  writeFileSync(path, program);
  process.argv[1] = path;
  try {
    return { ready: await startSupervisor({ flags: { name: 'web' } }, (text) => void said.push(text)), said };
  } finally {
    rmSync(path);
  }
}

const READ = `let given = ''; for await (const chunk of process.stdin) given += chunk;`;
const reply = (value: Parameters<typeof formatReply>[0]) =>
  `process.stdout.write(${JSON.stringify(formatReply(value))});`;

describe('a supervisor', () => {
  it('is this program again, told what to run on its input, and says when it is up', async () => {
    const { ready, said } = await supervise(`${READ}
      if (process.argv[2] !== 'supervise' || JSON.parse(given).flags.name !== 'web') process.exit(1);
      console.error('a notice');
      ${reply({ ok: true, name: 'web', run: '20261121-201500-k3f9' })}`);
    expect(ready).toEqual({ name: 'web', run: '20261121-201500-k3f9' });
    expect(said.join('')).toMatch(/^(a notice\n)?$/);
  });

  it('stands in a session of its own, so that no terminal ends it', async () => {
    const { ready } = await supervise(`${READ}
      import { readFileSync } from 'node:fs';
      const session = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\\) /s, '').split(' ')[3];
      process.stdout.write(JSON.stringify({ ok: true, name: String(session === String(process.pid)), run: 'r' }) + '\\n');`);
    expect(ready.name).toBe('true');
  });

  it('passes on why it did not come up, with its code', async () => {
    const error = new SandError('port-in-use', 'port 5300 is taken', 'take another');
    await expect(supervise(`${READ} ${reply(replyOf(error))}`)).rejects.toMatchObject({
      code: 'port-in-use',
      message: 'port 5300 is taken',
      hint: 'take another',
    });
  });

  it.each([
    ['ends without a word', ''],
    ['says something else', `process.stdout.write('hello\\n');`],
    ['says half of it', `process.stdout.write('{"ok":true,"name":"web"');`],
    ['names no run', `process.stdout.write('{"ok":true,"name":"web"}\\n');`],
    ['is killed', `process.kill(process.pid, 'SIGKILL');`],
    ['does not even read', `process.exit(3);`],
    ['says more than a line can hold', `process.stdout.write('x'.repeat(2 ** 21));`],
  ])('that %s did not come up', async (_, program) => {
    await expect(supervise(program)).rejects.toMatchObject({ code: 'guest-failed' });
  });

  it('that names a code of no catalogue failed by a fault of sand', async () => {
    const reply = `process.stdout.write('{"ok":false,"code":"no-such","message":"m","hint":"h"}\\n');`;
    await expect(supervise(reply)).rejects.toMatchObject({ code: 'internal', message: 'm' });
  });

  it('speaks in one line, whatever its words', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const line = formatReply({ ok: true, name: text, run: text });
        expect(line.indexOf('\n')).toBe(line.length - 1);
      }),
    );
  });
});
