import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../audit/event.ts';
import { auditRoot, type RunPlace, runPlace } from '../../../audit/runs.ts';
import { askControl } from '../../../controller/control/client.ts';
import { readRunState } from '../../../controller/run/run-state.ts';
import { runSession } from '../../../controller/run/session.ts';
import type { SessionRequest } from '../../../controller/run/session-request.ts';
import { createFakeBackend, type FakeOptions } from './fake-backend.ts';
import { policyOf } from './policies.ts';

const PHASES = 'version: 1\nphases: {one: {rules: [allow: a.example]}, two: {}, three: {}}\n';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'phases-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Of the one run that lives here. */
function place(): RunPlace {
  const runs = auditRoot({ XDG_STATE_HOME: root });
  return runPlace(runs, readdirSync(runs)[0] ?? '');
}

const phase = () => readRunState(place())?.phase;

async function run(exec: FakeOptions['exec'], changes: Partial<SessionRequest> = {}) {
  const ran: string[] = [];
  const backend = createFakeBackend({
    exec: async (command, gateway) => {
      ran.push(`${command.argv.at(-1)} in ${phase()}`);
      return (await exec?.(command, gateway)) ?? { code: 0 };
    },
  });
  const result = await runSession({
    backend,
    inForce: policyOf(PHASES),
    reread: null,
    layers: ['test'],
    mounts: [],
    workdir: '/project',
    environment: {},
    shares: [],
    authorities: [],
    cache: null,
    isolation: 'namespaces',
    user: null,
    timeoutMs: null,
    dnsPort: 0,
    dnsUpstreams: [],
    parents: null,
    before: [],
    name: null,
    ready: null,
    choosePolicy: () => Promise.reject(new Error('not asked')),
    ask: null,
    command: ['main'],
    stdio: ['ignore', 'inherit', 'inherit'],
    terminal: false,
    signals: { listen: () => () => {} },
    environ: { XDG_STATE_HOME: root },
    told: () => {},
    ...changes,
  });
  const lines = readFileSync(result.run.auditPath, 'utf8').trim().split('\n');
  return { ran, result, events: lines.map((line) => JSON.parse(line) as AuditEvent) };
}

describe('the commands of a run', () => {
  it('run one after another in one guest, each in its phase, and the log names them', async () => {
    const { ran, result, events } = await run(undefined, { before: ['first', 'second --token=hush'] });
    expect(ran).toEqual(['first in one', 'second --token=hush in two', 'main in three']);
    expect(result).toMatchObject({ exitCode: 0, cause: 'exit', error: null, teardown: [] });
    const { phases = [] } = policyOf(PHASES).policy;
    expect(events[0]).toMatchObject({
      policy: { phases: ['one', 'two', 'three'], phase: 'one', digest: phases[0]?.policy.digest },
      before: ['first', 'second --token=[redacted]'],
    });
    expect(events.filter(({ kind }) => kind === 'phase')).toMatchObject([
      { phase: 'two', number: 2, by: 'command', policy: phases[1]?.policy.digest },
      { phase: 'three', number: 3, by: 'command', policy: phases[2]?.policy.digest },
    ]);
  });

  it('end with the first that fails: no phase begins and nothing else runs', async () => {
    const { ran, result, events } = await run(async () => ({ code: 7 }), { before: ['first'] });
    expect(ran).toEqual(['first in one']);
    expect(result).toMatchObject({ exitCode: 7, cause: 'exit', error: null });
    expect(events.some(({ kind }) => kind === 'phase')).toBe(false);
  });

  it('share one time limit, and one that then ends well is not followed by another', async () => {
    const exec: FakeOptions['exec'] = (command) =>
      new Promise((resolve) => command.signal.addEventListener('abort', () => resolve({ code: 0 })));
    const { ran, result, events } = await run(exec, { before: ['first'], timeoutMs: 20 });
    expect(ran).toEqual(['first in one']);
    expect(events.some(({ kind }) => kind === 'phase')).toBe(false);
    expect(result).toMatchObject({ exitCode: 124, cause: 'timeout' });
  });
});

describe('the ports of a phase', () => {
  it('are planted when it begins, and only once', async () => {
    const planted: number[] = [];
    const raw = '{rules: [{allow: a.example, tcp: [5000]}]}';
    await run(
      async (_, gateway) => {
        gateway.onMorePorts(async (ports) => void planted.push(...ports));
        return { code: 0 };
      },
      {
        before: ['first', 'second', 'third'],
        inForce: policyOf(`version: 1\nphases: {one: {}, two: ${raw}, three: {}, four: ${raw}}\n`),
      },
    );
    expect(planted).toEqual([5000]);
  });
});

describe('a run that asks', () => {
  it('plants the usual ports, gives names more time, and takes answers at its control socket', async () => {
    let planted: readonly number[] = [];
    let held: unknown;
    const { result, events } = await run(
      async (_, gateway) => {
        planted = gateway.ports;
        held = await askControl(place(), { do: 'questions' });
        await expect(
          askControl(place(), { do: 'answer', question: 1, answer: 'once' }),
        ).rejects.toMatchObject({
          code: 'question-missing',
        });
        return { code: 0 };
      },
      { inForce: policyOf('version: 1\n'), ask: { front: () => () => {}, file: null } },
    );
    expect([planted.includes(5432), held, result.error]).toEqual([true, [], null]);
    expect(events.map(({ kind }) => kind)).toEqual(['run-start', 'run-end']);
  });

  it('that asks nobody says so to who would answer', async () => {
    await run(async () => {
      await expect(askControl(place(), { do: 'questions' })).rejects.toMatchObject({
        code: 'question-missing',
      });
      return { code: 0 };
    });
  });
});

describe('the control socket of a run', () => {
  it('moves the guest on and no further than the last phase, and is gone with the run', async () => {
    const seen: unknown[] = [];
    const { result, events } = await run(async () => {
      const at = place();
      expect(statSync(at.directory).mode & 0o777).toBe(0o700);
      seen.push(await askControl(at, { do: 'phase' }));
      seen.push(await askControl(at, { do: 'phase-next' }), phase());
      seen.push(await askControl(at, { do: 'phase-next' }), phase());
      seen.push(await askControl(at, { do: 'phase-next' }).catch((error) => error.code));
      return { code: 0 };
    });
    const phases = ['one', 'two', 'three'];
    expect(seen).toEqual([
      { phases, phase: 'one', next: 'two' },
      { phases, phase: 'two', next: 'three' },
      'two',
      { phases, phase: 'three', next: null },
      'three',
      'phase-last',
    ]);
    expect(events.filter(({ kind }) => kind === 'phase')).toMatchObject([
      { by: 'control' },
      { by: 'control' },
    ]);
    expect(existsSync(join(result.run.directory, 'control.sock'))).toBe(false);
  });

  it('that moved the guest on is not moved on again by the command that ends that phase', async () => {
    const { ran } = await run(
      async (command) => {
        if (command.argv.at(-1) === 'first') await askControl(place(), { do: 'phase-next' });
        return { code: 0 };
      },
      { before: ['first'] },
    );
    expect(ran).toEqual(['first in one', 'main in two']);
  });

  it('of a policy without phases has none to move to', async () => {
    await run(
      async () => {
        await expect(askControl(place(), { do: 'phase-next' })).rejects.toMatchObject({ code: 'phase-last' });
        return { code: 0 };
      },
      { inForce: policyOf('version: 1\n') },
    );
  });

  it('gives the guest to who runs a command in it, and has that command on record before it runs', async () => {
    const probe = { kind: 'probe', name: 'guest-seccomp', passed: true, detail: 'Seccomp: 2' } as const;
    const { events } = await run(async () => {
      expect(await askControl(place(), { do: 'guest' })).toMatchObject({
        backend: 'fake',
        guest: { handle: {} },
      });
      const command = ['sh', '-c', 'curl --header "Authorization: Bearer hush"'];
      expect(await askControl(place(), { do: 'exec', command, probes: [probe] })).toEqual({ exec: 1 });
      await askControl(place(), { do: 'exec-end', exec: 1, exitCode: 3, durationMs: 5 });
      return { code: 0 };
    });
    const at = events.findIndex(({ kind }) => kind === 'exec');
    expect(events[at - 1]).toMatchObject(probe);
    expect(JSON.stringify(events[at])).not.toContain('hush');
    expect(events[at + 1]).toMatchObject({ kind: 'exec-end', exec: 1, exitCode: 3 });
  });

  it('ends the guest, and its log says by whom', async () => {
    const { result, events } = await run(
      (command) =>
        new Promise((resolve) => {
          command.signal.addEventListener('abort', () => resolve({ code: 143 }));
          void askControl(place(), { do: 'stop', graceMs: 1_000 });
        }),
    );
    expect(result).toMatchObject({ exitCode: 143, cause: 'stop', error: null });
    expect(events.at(-1)).toMatchObject({ kind: 'run-end', cause: 'stop' });
    expect(readRunState(place())?.end).toMatchObject({ exitCode: 143, cause: 'stop' });
  });

  it('puts another policy in the place of the first, on record before it decides', async () => {
    const chosen: unknown[] = [];
    const next = policyOf('version: 1\nphases: {one: {rules: [allow: b.example]}, two: {}, three: {}}\n');
    const { events } = await run(
      async () => {
        const answer = await askControl(place(), { do: 'policy', policies: ['/etc/other.yaml'] });
        expect(answer).toEqual({ policy: readRunState(place())?.policy });
        return { code: 0 };
      },
      {
        choosePolicy: async (policies) => {
          chosen.push(policies);
          return { inForce: next, layers: ['other'], file: null, reread: null, notices: [] };
        },
      },
    );
    expect(chosen).toEqual([['/etc/other.yaml']]);
    expect(events).toContainEqual(expect.objectContaining({ kind: 'notice', code: 'policy-replaced' }));
  });

  it('keeps the policy where the next one cannot be had', async () => {
    const { events } = await run(async () => {
      await expect(askControl(place(), { do: 'policy', policies: ['x'] })).rejects.toMatchObject({
        message: expect.stringContaining('not asked'),
      });
      return { code: 0 };
    });
    expect(events.some((event) => event.kind === 'notice')).toBe(false);
  });
});
