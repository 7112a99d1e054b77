import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../../controller/backends/backend.ts';
import { createBackend } from '../../../controller/backends/registry.ts';
import { type DoctorOptions, formatFinding, runDoctor } from '../../../controller/cli/doctor.ts';
import { failed, ok, warning } from '../../../controller/doctor/finding.ts';
import { checkHost, checkRuntime } from '../../../controller/doctor/host.ts';
import { namedInConf } from '../../../controller/doctor/resolvers.ts';

async function run(probe: () => Promise<readonly Finding[]>, given: Partial<DoctorOptions> = {}) {
  const written: string[] = [];
  const host = {
    runtime: async () => [ok('Node', '24.0.0')],
    rest: async () => [warning('clock', 'is slow', null)],
  };
  const code = await runDoctor({
    json: false,
    backend: { name: 'linux', probe },
    write: (text) => written.push(text),
    host,
    ...given,
  });
  return { code, text: written.join('') };
}

describe('sand doctor', () => {
  it('prints one line a check, and ends with 0 when none failed', async () => {
    const { code, text } = await run(async () => [ok('bubblewrap', '0.8.0')]);
    expect(code).toBe(0);
    expect(text).toBe(
      'ok   Node 24.0.0\nok   bubblewrap 0.8.0\nwarn clock: is slow\nok   confinement can be tried → sand verify --backend linux\n',
    );
  });

  it('ends with 1 when any check failed, and prints its remedy', async () => {
    const { code, text } = await run(async () => [failed('user namespaces', 'x is 0', 'sudo sysctl -w x=1')]);
    expect(code).toBe(1);
    expect(text).toContain('FAIL user namespaces: x is 0 → sudo sysctl -w x=1\n');
  });

  it.each([true, false])(
    'with --json prints an object with findings and an overall ok (%s)',
    async (fine) => {
      const finding = fine ? ok('veth', 'works') : failed('veth', 'does not', 'sudo modprobe veth');
      const { code, text } = await run(async () => [finding], { json: true });
      expect(code).toBe(fine ? 0 : 1);
      const printed = JSON.parse(text) as { ok: boolean; backend: string; findings: Finding[] };
      expect(printed).toMatchObject({ backend: 'linux', ok: fine });
      expect(printed.findings[1]).toEqual(finding);
    },
  );

  it('tells a backend whose probe throws as a failed check, and goes on', async () => {
    const { code, text } = await run(async () => {
      throw new Error('broken');
    });
    expect(code).toBe(1);
    expect(text).toContain('FAIL backend linux: could not be finished: broken');
    expect(text).toContain('warn clock');
  });

  it('lets no tool or process name write to the terminal', async () => {
    const hostile = failed('bubblewrap', 'said: \u001b[2J\r\nok   all is well\u202e', 'do \u0007 this');
    const line = formatFinding(hostile);
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    const { text } = await run(async () => [hostile], { json: true });
    expect(text.trimEnd()).not.toMatch(/[\u0000-\u001f\u202e]/);
    expect(JSON.parse(text)).toMatchObject({ findings: [{}, hostile, {}] });
  });
});

describe('docs/doctor.md', () => {
  it('explains every check, and no other', async () => {
    const documented = [
      ...readFileSync('docs/doctor.md', 'utf8').matchAll(/^\| \*\*(?<check>[^*]+)\*\* \|/gm),
    ].map((match) => match.groups?.check);
    const resolvers = { named: () => namedInConf('nameserver 192.0.2.53\n'), ask: async () => null };
    const findings = [
      ...(await checkRuntime()),
      ...(await createBackend('linux').probe()),
      ...(await checkHost(resolvers)),
    ];
    const told = [...new Set(findings.map(({ check }) => check))];
    if (process.platform === 'linux') expect(documented).toEqual(told);
    else expect(documented).toEqual(expect.arrayContaining(told));
  });
});
