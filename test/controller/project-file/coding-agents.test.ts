/** The files of docs/coding-agents.md are read, and say what the page says of them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSurroundings } from '../../../controller/cli/policy/surroundings.ts';
import { testPolicies } from '../../../controller/cli/policy/test.ts';
import { usesContext } from '../../../controller/images/build-inputs.ts';
import { createPolicyReader } from '../../../controller/run/policy-reader.ts';
import { compilePolicy } from '../../../policies/compile.ts';
import { agentFiles } from './coding-agent-files.ts';
import { decode } from './samples.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sand-agent-'));
  for (const [name, text] of Object.entries(agentFiles())) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('docs/coding-agents.md', () => {
  it('has a sand.yaml that builds, keeps dependencies in a volume, and names the policy', () => {
    const file = decode(agentFiles()['sand.yaml'] ?? '');
    expect(file.build?.value).toEqual({ file: './agent/Dockerfile', context: null });
    expect(file.volumes.map(({ value }) => value.name)).toEqual(['node_modules', 'agent-home']);
    expect(file.policy.map(({ value }) => value)).toEqual(['./sand.policy.yaml']);
  });

  it('has a Dockerfile that copies nothing of the project', () => {
    expect(usesContext(agentFiles()['agent/Dockerfile'] ?? '')).toBe(false);
  });

  it('has a policy that compiles', () => {
    const policy = [{ kind: 'named', name: join(folder, 'sand.policy.yaml') }] as const;
    expect(compilePolicy(policy, createPolicyReader(folder))).toMatchObject({ ok: true });
  });

  it('has a table of tests that the policy passes', () => {
    let said = '';
    const write = (text: string) => {
      said += text;
    };
    const surroundings = { ...readSurroundings(write), cwd: folder };
    const code = testPolicies({ files: ['sand.policy-test.yaml'], format: 'text' }, surroundings);
    expect([code, said]).toEqual([0, expect.any(String)]);
  });
});
