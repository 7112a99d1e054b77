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
    tell: () => {},
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

describe('sand why of a policy with phases', () => {
  const phased = join(folder, 'phased.yaml');
  writeFileSync(
    phased,
    'version: 1\nrules: [{deny: d.example}]\nphases:\n  setup: {rules: [{allow: a.example}, {deny: b.example}]}\n  run: {rules: []}\n',
  );

  it('asks the first unless told, and proposes to open no other', async () => {
    const asked = { policy: [phased], authority: 'a.example' };
    expect((await why(asked)).code).toBe(0);
    const { code, text } = await why({ ...asked, phase: 'run' });
    expect(code).toBe(1);
    expect(text).toContain('to turn it, in phase run: - allow: a.example\n');
    expect(text).toContain(`or: sand policy allow a.example --phase run --file ${phased}\n`);
    await expect(why({ ...asked, phase: 'later' })).rejects.toThrow('no phase later');
  });

  it('takes a deny rule out where it stands', async () => {
    const text = async (authority: string) => (await why({ policy: [phased], authority })).text;
    expect(await text('b.example')).toContain('sand policy deny b.example --remove --phase setup --file');
    expect(await text('d.example')).toContain('sand policy deny d.example --remove --file');
  });
});

describe('a found policy that a run would ask about', () => {
  it('is explained all the same, and that is told to the person', async () => {
    const place = mkdtempSync(join(tmpdir(), 'sand-why-'));
    writeFileSync(join(place, 'sand.policy.yaml'), 'version: 1\nrules:\n  - allow: wide.example\n');
    let told = '';
    const tell = (some: string): void => {
      told += some;
    };
    const environ = { HOME: place, CI: 'true' };
    const { code } = await why({ authority: 'wide.example', policy: [], cwd: place, environ, tell });
    rmSync(place, { recursive: true });
    expect(code).toBe(0);
    expect(told).toMatch(/a run asks before it uses this: .*wider than strict.*it allows wide\.example/);
  });
});
