import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../audit/event.ts';
import { verifyAuditLog } from '../../../audit/verify.ts';
import { SandError } from '../../../controller/errors.ts';
import { viewGuests } from '../../../controller/guests/guests.ts';
import type { GuestName } from '../../../controller/guests/name.ts';
import { type GuestRecord, registerGuest } from '../../../controller/guests/registry.ts';
import { readRunState } from '../../../controller/run/run-state.ts';
import { runSession } from '../../../controller/run/session.ts';
import type { SessionRequest } from '../../../controller/run/session-request.ts';
import { FORCE_AFTER_SIGNALS } from '../../../controller/run/signal-relay.ts';
import { placeIn, writeKilledState } from '../guests/places.ts';
import { createFakeBackend, type FakeOptions, type Step } from './fake-backend.ts';
import { policyOf } from './policies.ts';

let root: string;
let servers: Server[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'session-'));
  servers = [];
});
afterEach(() => {
  for (const server of servers) server.close();
  rmSync(root, { recursive: true, force: true });
});

/** The caller's signals, sent by the test. */
function createSignals() {
  const receivers = new Set<(signal: NodeJS.Signals, shared: boolean) => void>();
  return {
    listening: () => receivers.size,
    send: (signal: NodeJS.Signals, shared = false) => {
      for (const receive of receivers) receive(signal, shared);
    },
    source: {
      listen(receive: (signal: NodeJS.Signals, shared: boolean) => void) {
        receivers.add(receive);
        return () => void receivers.delete(receive);
      },
    },
  };
}

/** The one log below `folder` that this process has open is a full device from now on. */
function fillDisk(folder: string): void {
  const log = readdirSync('/proc/self/fd').find((descriptor) => {
    try {
      const place = readlinkSync(`/proc/self/fd/${descriptor}`);
      return place.startsWith(folder) && place.endsWith('audit.jsonl');
    } catch {
      return false;
    }
  });
  if (log === undefined) throw new Error('no log is open');
  closeSync(Number(log));
  // It takes the lowest number that is free, most often the log's; otherwise the log finds none.
  openSync('/dev/full', 'a');
}

/** What lies in the place of the run's state can be no file. */
function blockState(folder: string): void {
  const [id = ''] = readdirSync(join(folder, 'sand', 'runs'));
  mkdirSync(join(folder, 'sand', 'runs', id, 'run.json.new'));
}

async function run(fake: FakeOptions = {}, changes: Partial<SessionRequest> = {}) {
  const backend = createFakeBackend(fake);
  const signals = createSignals();
  const told: string[] = [];
  const result = await runSession({
    backend,
    inForce: policyOf('version: 1\n'),
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
    command: ['true'],
    stdio: ['ignore', 'inherit', 'inherit'],
    terminal: false,
    signals: signals.source,
    environ: { XDG_STATE_HOME: root },
    told: (message) => void told.push(message),
    ...changes,
  });
  const lines = readFileSync(result.run.auditPath, 'utf8').trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as AuditEvent);
  const dnsPort = Number(/port (\d+)/.exec(told.join('\n'))?.[1] ?? 0);
  return { backend, signals, result, events, dnsPort };
}

const refuses = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });

/** A connection as a link would hand it over: the near end for the gateway, the far end for the guest. */
async function connectionPair(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const far = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  return { near: await accepted, far };
}

describe('a session', () => {
  it('goes through its steps in order, and its log is whole and sealed', async () => {
    const { backend, result, events, signals } = await run({ exec: async () => ({ code: 7 }) });
    expect(backend.steps).toEqual(['create', 'start', 'inspect', 'exec', 'stop', 'destroy']);
    expect(result).toMatchObject({ exitCode: 7, cause: 'exit', error: null, teardown: [] });
    expect(events.map(({ kind }) => kind)).toEqual(['run-start', 'run-end']);
    expect(await verifyAuditLog(result.run.auditPath)).toMatchObject({ intact: true, ended: true });
    expect(signals.listening()).toBe(0);
  });

  it('tells what shows at the end, and records it before the seal', async () => {
    const observations = [{ code: 'protected-file-created', detail: '.envrc was made' }] as const;
    const { result, events } = await run({ observations });
    expect(result.notices).toEqual(['.envrc was made']);
    expect(events.at(-2)).toMatchObject({ kind: 'notice', code: 'protected-file-created' });
  });

  it('tells what is to be told of its policy, and records it', async () => {
    const notices = [{ code: 'policy-lock-stale', detail: 'policy.lock: the lock is stale' }];
    const { result, events } = await run({}, { notices });
    expect(result.notices).toEqual(['policy.lock: the lock is stale']);
    expect(events[1]).toMatchObject({ kind: 'notice', code: 'policy-lock-stale' });
  });

  const UNDONE: Readonly<Record<Step, readonly Step[]>> = {
    create: [],
    start: ['destroy'],
    inspect: ['destroy'],
    exec: ['stop', 'destroy'],
    stop: ['stop', 'destroy'],
    destroy: ['stop', 'destroy'],
  };
  it.each(Object.entries(UNDONE) as [Step, readonly Step[]][])(
    'whose step %s fails runs every undo step after it, reports it, and seals its log',
    async (failing, undone) => {
      const { backend, result, events, dnsPort, signals } = await run({ failing });
      const at = backend.steps.indexOf(failing);
      const after =
        failing === 'stop' || failing === 'destroy' ? backend.steps.slice(-2) : backend.steps.slice(at + 1);
      expect(after).toEqual(undone);
      const reported = [result.error, ...result.teardown].filter((error) => error !== null);
      expect(reported.map(({ code }) => code)).toEqual(['tool-failed']);
      expect(events.at(-1)).toMatchObject({ kind: 'run-end' });
      expect(await verifyAuditLog(result.run.auditPath)).toMatchObject({ intact: true, ended: true });
      expect(signals.listening()).toBe(0);
      if (dnsPort !== 0) expect(await refuses(dnsPort)).toBe(true);
    },
  );

  describe.each([
    ['in the foreground', null],
    ['in the background', 'ready'],
  ] as const)('%s', (_, detached) => {
    it.each(Object.keys(UNDONE) as Step[])(
      'whose step %s fails leaves no name but a guest\u2019s that stays, no socket, no folder and no listener, and says so in its state',
      async (failing) => {
        const folder = () => join(root, 'sand/runs', readdirSync(join(root, 'sand/runs'))[0] ?? '');
        const told: string[] = [];
        const { result, signals, dnsPort } = await run(
          {
            failing,
            // As a backend does that keeps something in the guest's folder.
            create(spec) {
              spec.place.note({ kind: 'folder', path: spec.place.folder });
              mkdirSync(join(spec.place.folder, 'root'), { recursive: true });
            },
            exec: async () => {
              expect(readdirSync(folder())).toContain('control.sock');
              return { code: 0 };
            },
          },
          { name: 'web' as GuestName, ready: detached === null ? null : ({ name }) => void told.push(name) },
        );
        const left = readdirSync(result.run.directory).sort();
        const output = detached !== null && told.length > 0 ? ['output.jsonl'] : [];
        expect(left).toEqual(['audit.jsonl', 'journal.jsonl', ...output, 'policy.yaml', 'run.json']);
        const isTold = detached !== null && !['create', 'start', 'inspect'].includes(failing);
        expect(told).toEqual(isTold ? ['web'] : []);
        // One that never came up keeps no name from the next try.
        expect(readdirSync(join(root, 'sand/guests'))).toEqual(isTold ? ['web'] : []);
        const [guest] = viewGuests(join(root, 'sand/runs'));
        expect(guest?.standing).toBe(isTold ? 'ended' : undefined);
        const { end } = readRunState(result.run) ?? {};
        expect(end).toMatchObject({ exitCode: result.exitCode, cause: result.cause });
        const undoing = failing === 'stop' || failing === 'destroy';
        if (!undoing) expect(end?.error).toContain(`the test makes ${failing} fail`);
        expect([result.error, ...result.teardown].filter((error) => error !== null)).toHaveLength(1);
        expect(signals.listening()).toBe(0);
        if (dnsPort !== 0) expect(await refuses(dnsPort)).toBe(true);
      },
    );
  });

  it('whose name is taken makes nothing at all', async () => {
    const backend = createFakeBackend();
    await run({}, { name: 'web' as GuestName, ready: () => {} });
    const second = run({}, { backend, name: 'web' as GuestName });
    await expect(second).rejects.toMatchObject({ code: 'guest-exists' });
    expect(backend.steps).toEqual([]);
    expect(readdirSync(join(root, 'sand/runs'))).toHaveLength(1);
  });

  it('whose start probes fail is never told to be up, and takes no command', async () => {
    const told: string[] = [];
    const confined = () => Promise.reject(new SandError('probe-failed', 'a way out', 'report it'));
    const ready = ({ name }: GuestRecord) => void told.push(name);
    const { backend, result } = await run({ confined }, { ready });
    expect(result).toMatchObject({ exitCode: 122, cause: 'probe' });
    expect([told, backend.steps]).toEqual([[], ['create', 'start', 'inspect', 'stop', 'destroy']]);
  });

  it('removes what a killed run left before it begins, its name too', async () => {
    const runs = join(root, 'sand/runs');
    const killed = placeIn(runs);
    registerGuest(runs, 'web' as GuestName, killed);
    writeKilledState(killed);
    writeFileSync(join(killed.directory, 'control.sock'), '');
    const { result } = await run({}, { name: 'web' as GuestName });
    expect([result.error, readdirSync(killed.directory)]).toEqual([null, ['run.json']]);
  });

  it('whose command failed and whose teardown failed as well reports both', async () => {
    const { result } = await run({ failing: 'destroy', exec: () => Promise.reject(new Error('broken')) });
    expect(result.error).toMatchObject({ code: 'internal' });
    expect(result.teardown.map(({ code }) => code)).toEqual(['tool-failed']);
  });

  it('whose resolver cannot listen destroys its guest', async () => {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const { backend, result } = await run({}, { dnsPort: (server.address() as AddressInfo).port });
    expect(result).toMatchObject({ exitCode: 125, cause: 'error', error: { code: 'port-in-use' } });
    expect(backend.steps).toEqual(['create', 'destroy']);
  });

  it('whose state cannot be written destroys its guest', async () => {
    const circular: Record<string, never> = {};
    Reflect.set(circular, 'itself', circular);
    const { backend, result } = await run({ details: circular });
    expect(result.error).toMatchObject({ code: 'internal' });
    expect(backend.steps.at(-1)).toBe('destroy');
  });

  it('whose log fails while its command runs ends the command, and says why once', async () => {
    const { backend, result } = await run({
      observations: [{ code: 'protected-file-created', detail: 'to be recorded by the teardown' }],
      exec: async (command, gateway) => {
        fillDisk(root);
        const probe = { kind: 'probe', name: 'resolver', passed: true, detail: '' } as const;
        expect(() => gateway.record(probe)).toThrow(/ENOSPC|EBADF/);
        expect(command.signal.aborted).toBe(true);
        expect(command.kill.aborted).toBe(false);
        return { code: 143 };
      },
    });
    expect(result).toMatchObject({ exitCode: 125, cause: 'error', error: { code: 'audit-unavailable' } });
    expect(result.teardown).toEqual([]);
    expect(backend.steps.slice(-2)).toEqual(['stop', 'destroy']);
  });

  it('whose log fails when the command has ended says so once, and is no success', async () => {
    const { result } = await run({
      observations: [{ code: 'protected-file-created', detail: 'to be recorded by the teardown' }],
      exec: async () => {
        fillDisk(root);
        return { code: 0 };
      },
    });
    expect(result).toMatchObject({ exitCode: 0, error: null });
    expect(result.teardown.map(({ code }) => code)).toEqual(['audit-unavailable']);
  });

  it('whose disk has no room beside the log says what to do about it', async () => {
    const environ = { XDG_STATE_HOME: root };
    const { backend, result } = await run({ start: async () => blockState(root) }, { environ });
    expect(result.error).toMatchObject({ code: 'audit-unavailable' });
    expect(backend.steps.at(-1)).toBe('destroy');
  });

  it('without a place for its log makes nothing at all', async () => {
    writeFileSync(join(root, 'file'), '');
    const backend = createFakeBackend();
    const started = run({}, { backend, environ: { XDG_STATE_HOME: join(root, 'file') } });
    await expect(started).rejects.toMatchObject({ code: 'audit-unavailable' });
    expect(backend.steps).toEqual([]);
    expect(readdirSync(root)).toEqual(['file']);
  });

  it('does not run where the policy wants enforcement and the guest would merely be asked', async () => {
    const inForce = policyOf('version: 1\nrequires: {confinement: enforced}\n');
    const { backend, result } = await run({ confinement: 'cooperative' }, { inForce });
    expect(result).toMatchObject({ exitCode: 122, error: { code: 'confinement-required' } });
    expect(backend.steps).toEqual([]);
  });

  it('says at its start that a guest is merely asked', async () => {
    const { result, events } = await run({ confinement: 'cooperative' });
    expect(result.exitCode).toBe(0);
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'notice',
        code: 'cooperative-confinement',
        detail: expect.stringContaining('confinement is cooperative (link namespace)'),
      }),
    );
    // Whoever started it was told before.
    expect(result.notices).toEqual([]);
    expect((await run()).events.filter(({ kind }) => kind === 'notice')).toEqual([]);
  });

  it('does not run where the policy or a ceiling wants more isolation than the guest would have', async () => {
    const plain = policyOf('version: 1\n');
    const { policy } = policyOf('version: 1\nname: vault\nrequires: {isolation: vm}\n');
    const phased = policyOf('version: 1\nrequires: {isolation: gvisor}\nphases: {setup: {}, run: {}}\n');
    for (const inForce of [{ ...plain, policy }, { ...plain, ceilings: [policy] }, phased]) {
      const { backend, result, events } = await run({}, { inForce });
      expect(result).toMatchObject({ exitCode: 122, error: { code: 'isolation-required' } });
      expect(backend.steps).toEqual([]);
      expect(events.at(-1)).toMatchObject({ kind: 'run-end', exitCode: 122, cause: 'error' });
    }
  });

  it('runs where the guest was asked for with the isolation that the policy wants', async () => {
    const inForce = policyOf('version: 1\nrequires: {isolation: gvisor}\n');
    const asked = await run({}, { inForce, isolation: 'gvisor' });
    expect(asked.result).toMatchObject({ exitCode: 0, error: null });
  });

  it('runs where the policy wants no more isolation than every guest has', async () => {
    const inForce = policyOf('version: 1\nrequires: {isolation: namespaces}\n');
    expect((await run({}, { inForce })).result).toMatchObject({ exitCode: 0, error: null });
  });

  it('that a failed probe stopped says so by its cause and exit code', async () => {
    const start = () => Promise.reject(new SandError('probe-failed', 'a way out', 'report it'));
    const { result, events } = await run({ start });
    expect(result).toMatchObject({ exitCode: 122, cause: 'probe' });
    expect(events.at(-1)).toMatchObject({ kind: 'run-end', exitCode: 122, cause: 'probe' });
  });
});

describe('signals of a session', () => {
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));

  it.each([
    ['SIGINT', false, 130],
    ['SIGINT', true, 130],
    ['SIGTERM', false, 143],
    ['SIGHUP', false, 129],
  ] as const)(
    'before the command: %s (from a terminal: %s) ends the start with %i',
    async (name, shared, code) => {
      const signals = createSignals();
      const { backend, result } = await run(
        {
          start: (_, signal) => {
            queueMicrotask(() => signals.send(name, shared));
            return untilAborted(signal);
          },
        },
        { signals: signals.source },
      );
      expect(result).toMatchObject({ exitCode: code, cause: 'signal', error: null });
      expect(backend.steps).toEqual(['create', 'start', 'destroy']);
      expect(signals.listening()).toBe(0);
    },
  );

  it('reach a running command, but for what its terminal gives it by itself', async () => {
    const signals = createSignals();
    const got: string[] = [];
    const { result } = await run(
      {
        async exec(command) {
          command.started?.({ forward: (signal) => void got.push(signal) });
          signals.send('SIGINT', true);
          signals.send('SIGUSR2');
          signals.send('SIGTERM');
          return { code: 5 };
        },
      },
      { signals: signals.source },
    );
    expect(got).toEqual(['SIGUSR2', 'SIGTERM']);
    expect(result.exitCode).toBe(5);
  });

  it(`end a command by force when ${FORCE_AFTER_SIGNALS} asked it to end`, async () => {
    const signals = createSignals();
    const killed: boolean[] = [];
    const { result } = await run(
      {
        async exec(command) {
          command.started?.({ forward: () => {} });
          for (let count = 0; count < FORCE_AFTER_SIGNALS; count++) {
            killed.push(command.kill.aborted);
            signals.send('SIGTERM');
          }
          signals.send('SIGUSR2');
          killed.push(command.kill.aborted);
          return { code: 137 };
        },
      },
      { signals: signals.source },
    );
    expect(killed).toEqual([...Array(FORCE_AFTER_SIGNALS).fill(false), true]);
    expect(result).toMatchObject({ exitCode: 137, cause: 'signal' });
  });

  it('are not needed at the time limit: the command is asked to end, and the run ends with 124', async () => {
    const exec: FakeOptions['exec'] = (command) =>
      new Promise((resolve) => command.signal.addEventListener('abort', () => resolve({ code: 0 })));
    const { backend, result } = await run({ exec }, { timeoutMs: 20 });
    expect(result).toMatchObject({ exitCode: 124, cause: 'timeout', error: null });
    expect(backend.steps.slice(-2)).toEqual(['stop', 'destroy']);
  });

  it('that a lost link sends end the command at once, whatever it does', async () => {
    const exec: FakeOptions['exec'] = (command, gateway) =>
      new Promise((_, reject) => {
        command.kill.addEventListener('abort', () => reject(new Error('killed')));
        gateway.lost(new SandError('link-failed', 'the planter ended', 'run `sand doctor`'));
      });
    const { backend, result } = await run({ exec });
    expect(result).toMatchObject({ exitCode: 125, cause: 'error', error: { code: 'link-failed' } });
    expect(backend.steps.slice(-2)).toEqual(['stop', 'destroy']);
  });
});

describe('what a session forwards', () => {
  it('is never for a listener that the guest\u2019s link has opened on the host', async () => {
    let reached = 0;
    const listener = createServer(() => {
      reached += 1;
    });
    servers.push(listener);
    await new Promise<void>((resolve) => listener.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const { port } = listener.address() as AddressInfo;
    let answer = '';
    await run(
      {
        start: async (gateway) => gateway.listensAt({ address: '127.0.0.1', port }),
        async exec(_, gateway) {
          const { near, far } = await connectionPair();
          gateway.acceptProxy(near);
          far.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
          for await (const chunk of far) answer += String(chunk);
          return { code: 0 };
        },
      },
      { inForce: policyOf(`version: 1\nrules:\n  - allow: 127.0.0.1\n    tcp: [${port}]\n`) },
    );
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(reached).toBe(0);
  });

  it('is in the log before it reaches an origin, also when the step after it fails', async () => {
    let logged: string[] = [];
    const origin = createHttpServer((_, response) => {
      const folder = join(root, 'sand/runs');
      const [id = ''] = readdirSync(folder);
      logged = readFileSync(join(folder, id, 'audit.jsonl'), 'utf8')
        .trim()
        .split('\n');
      response.end('hello');
    });
    servers.push(origin);
    await new Promise<void>((resolve) => origin.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const { port } = origin.address() as AddressInfo;
    const { result } = await run(
      {
        failing: 'stop',
        async exec(_, gateway) {
          const { near, far } = await connectionPair();
          gateway.acceptProxy(near);
          far.write(
            `GET http://host.sand:${port}/ HTTP/1.1\r\nHost: host.sand:${port}\r\nConnection: close\r\n\r\n`,
          );
          let text = '';
          for await (const chunk of far) text += String(chunk);
          expect(text).toContain('hello');
          return { code: 0 };
        },
      },
      { inForce: policyOf(`version: 1\nrules:\n  - allow: host.sand\n    http: [${port}]\n`) },
    );
    const decisions = logged.map((line) => JSON.parse(line) as AuditEvent);
    expect(decisions.at(-1)).toMatchObject({
      kind: 'connection',
      verdict: 'allow',
      disposition: 'forwarded',
      port,
    });
    expect(result.teardown.map(({ code }) => code)).toEqual(['tool-failed']);
    expect(await verifyAuditLog(result.run.auditPath)).toMatchObject({ intact: true, ended: true });
  });
});
