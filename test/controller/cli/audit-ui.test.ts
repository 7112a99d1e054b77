import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AuditUiOptions, serveAuditUi } from '../../../controller/cli/audit-ui.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ui-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function serve(options: Partial<AuditUiOptions>) {
  let out = '';
  let told = '';
  const stop = new AbortController();
  const code = await serveAuditUi({
    run: undefined,
    port: undefined,
    json: false,
    env: { XDG_STATE_HOME: folder },
    cwd: folder,
    write: (text) => {
      out += text;
      stop.abort();
    },
    tell: (text) => {
      told += text;
    },
    signal: stop.signal,
    pages: { make: async () => ({ policy: '', html: [] }) },
    ...options,
  });
  return { code, out, told };
}

it('prints the link alone on stdout, what it is on stderr, and ends by the signal', async () => {
  const { code, out, told } = await serve({});
  expect(code).toBe(0);
  expect(out).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}\n$/);
  expect(told).toContain('good once');
  expect(told).not.toContain('token=');
});

it('prints JSON for scripts', async () => {
  const { out, told } = await serve({ json: true });
  expect(JSON.parse(out)).toEqual({ url: expect.stringContaining('?token=') });
  expect(told).toBe('');
});

it.each(['80', '65536', '-1', 'x', '', '8080 '])('has no port %j', async (port) => {
  await expect(serve({ port })).rejects.toMatchObject({ code: 'usage' });
});

it('has no run that is not there', async () => {
  await expect(serve({ run: '20261121' })).rejects.toMatchObject({ code: 'run-missing' });
});
