import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explainRequest, type WhyOptions } from '../../../controller/cli/why.ts';

const NOW = Date.parse('2026-11-21T20:15:00Z');
const folder = mkdtempSync(join(tmpdir(), 'why-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'policy.yaml');
writeFileSync(
  file,
  'version: 1\nrules:\n  - allow: api.example\n    http: [80, 8080]\n    methods: [GET]\n    paths: [/v1/**]\n',
);

async function why(options: Partial<WhyOptions>): Promise<{ code: number; text: string }> {
  let text = '';
  const code = await explainRequest({
    authority: 'api.example',
    policy: [file],
    allow: [],
    address: [],
    json: false,
    environ: process.env,
    nowMs: NOW,
    cwd: folder,
    write: (some) => {
      text += some;
    },
    ...options,
  });
  return { code, text };
}

describe('sand why with a method and a path', () => {
  it('asks for plain HTTP on port 80', async () => {
    const { code, text } = await why({ method: 'GET', path: '/x/../v1/users' });
    expect(code).toBe(0);
    expect(text).toMatch(/^GET http:\/\/api\.example:80\/x\/\.\.\/v1\/users: allow \(allowed-by-rule/);
  });

  it('names the rule that nearly allowed it, and what would turn it', async () => {
    const { code, text } = await why({ method: 'POST', path: '/v1/users' });
    expect(code).toBe(1);
    expect(text).toContain('deny (method-not-allowed');
    expect(text).toContain('(policy.yaml:3)');
    expect(text).toContain(
      'to turn it: - {allow: api.example, http: [80], methods: [POST], paths: ["/v1/users"]}',
    );
    expect((await why({ authority: 'api.example:8080', method: 'GET', path: '/v2' })).text).toContain(
      'api.example:8080/v2: deny (path-not-allowed',
    );
  });

  it('asks without them whether the port may be opened at all', async () => {
    expect((await why({ authority: 'api.example:80' })).text).toMatch(/^api\.example:80: allow/);
    expect((await why({})).text).toMatch(/^api\.example:443: deny \(port-not-allowed/);
  });

  it('refuses half a request, and what is no method or path', async () => {
    await expect(why({ method: 'GET' })).rejects.toThrow('a method needs a path');
    await expect(why({ method: 'GE T', path: '/' })).rejects.toThrow('no method');
    await expect(why({ method: 'GET', path: 'v1' })).rejects.toThrow('begins with');
  });

  it('says it in JSON', async () => {
    const { text } = await why({ method: 'GET', path: '/v2', json: true });
    expect(JSON.parse(text)).toMatchObject({ decision: 'deny', reason: 'path-not-allowed' });
  });
});
