/** The ways into a relay's guest: connections to its own servers, files put into it, and what `probe` says of it. */
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dialArguments,
  formatAttempts,
  getArguments,
  parseDial,
  parseProbe,
  probeArguments,
  putArguments,
  tmpfsArguments,
} from '../../../../controller/links/relay/relay-program.ts';
import { finish, reasonToSkip, startGuest, type TestGuest, until } from './test-guest.ts';

const reason = reasonToSkip();

describe.skipIf(reason !== null)(`ways in${reason === null ? '' : ` (${reason})`}`, () => {
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({
      proxy: (socket) => socket.end('hello from the gateway \x1b[31m\n'),
      dns: (socket, _, first) => {
        const question = first.subarray(2);
        const head = Buffer.from('00008180000100010000000000000000', 'hex').subarray(0, 12);
        question.copy(head, 0, 0, 2);
        if (question.includes('missing')) head.writeUInt8(0x83, 3);
        if (question.includes('denied')) head.writeUInt8(0x85, 3);
        const answer = Buffer.from('c00c0001000100000001000400000000', 'hex');
        answer.set([198, 18, 0, 9], 12);
        const body = Buffer.concat([head, question.subarray(12), answer]);
        socket.end(Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]));
      },
      prepare: (folder) => {
        mkdirSync(join(folder, 'code/deep'));
        writeFileSync(join(folder, 'code/victim'), 'as it was\n');
        symlinkSync('/code/victim', join(folder, 'code/link'));
      },
    });
  });
  afterAll(() => guest?.close());

  it.each(['127.0.0.1', '::1'])(
    'ties stdin and stdout to a server at %s, each side with its own end',
    async (host) => {
      const server = guest.node(`
      require('net').createServer({ allowHalfOpen: true }, (socket) => {
        let length = 0;
        socket.on('data', (chunk) => (length += chunk.length)).on('end', () => { socket.end('got ' + length); process.stdout.write('done'); this.close; });
        socket.on('close', () => process.exit());
      }).listen(8080, '${host}');
    `);
      for (let turn = 0; turn < 100; turn++) {
        const { stdout } = await guest.relay(dialArguments(8080), Buffer.alloc(300_000, 'x'));
        const opening = parseDial(Buffer.from(stdout, 'latin1'));
        if (opening?.state === 'refused') continue;
        expect(opening).toMatchObject({ state: 'connected' });
        expect(stdout.slice(1)).toBe('got 300000');
        break;
      }
      expect((await server).stdout).toBe('done');
    },
  );

  it('says that nobody listens', async () => {
    const { code, stdout } = await guest.relay(dialArguments(9));
    expect([code, parseDial(Buffer.from(stdout, 'latin1'))]).toEqual([
      1,
      { state: 'refused', detail: '127.0.0.1: Connection refused, ::1: Connection refused' },
    ]);
    expect((await guest.relay(['dial', '0'])).code).toBe(2);
  });

  it('puts a file with its mode and owner, and makes its folders', async () => {
    const put = putArguments({ path: '/code/new/folder/file', mode: 0o640, user: '1000:99' });
    expect(await guest.relay(put, 'the text\n')).toMatchObject({ code: 0, stderr: '' });
    const path = join(guest.folder, 'code/new/folder/file');
    expect(readFileSync(path, 'utf8')).toBe('the text\n');
    expect(lstatSync(path)).toMatchObject({ uid: 1000, gid: 99, mode: 0o100640 });
    expect(lstatSync(join(guest.folder, 'code/new')).mode & 0o777).toBe(0o755);
  });

  it('replaces a symbolic link at the last step, and writes through none', async () => {
    const put = putArguments({ path: '/code/link', mode: 0o600, user: '' });
    expect((await guest.relay(put, 'new\n')).code).toBe(0);
    expect(readFileSync(join(guest.folder, 'code/victim'), 'utf8')).toBe('as it was\n');
    expect(lstatSync(join(guest.folder, 'code/link')).isSymbolicLink()).toBe(false);
    expect((await guest.relay(putArguments({ path: '/code/deep', mode: 0o600, user: '' }), '')).code).toBe(1);
    for (const args of [
      ['relative', '0600', '0:0'],
      ['/code/..', '0600', '0:0'],
      ['/code/x', '9', '0:0'],
      ['/code/x', '0600'],
    ]) {
      expect((await guest.relay(['put', ...args])).code).toBe(2);
    }
    const { stdout } = await guest.run(['ls', '-A', '/code']);
    expect(stdout.split('\n').sort()).toEqual(['', 'deep', 'link', 'new', 'victim']);
  });

  it('gives a file to nobody that the guest does not know', async () => {
    const put = putArguments({ path: '/code/mine', mode: 0o600, user: 'no-such-user' });
    expect(await guest.relay(put, 'x')).toMatchObject({ code: 1 });
    expect(existsSync(join(guest.folder, 'code/mine'))).toBe(false);
  });

  it('prints a file, and no folder, FIFO or what is not there', async () => {
    writeFileSync(join(guest.folder, 'code/shown'), 'text\n');
    expect(await guest.relay(getArguments('/code/shown'))).toMatchObject({ code: 0, stdout: 'text\n' });
    await guest.run(['mkfifo', '/code/fifo']);
    for (const path of ['/code/fifo', '/code', '/code/nothing'])
      expect((await guest.relay(getArguments(path))).code).toBe(1);
    rmSync(join(guest.folder, 'code/shown'));
    rmSync(join(guest.folder, 'code/fifo'));
  });

  it('mounts memory where it is asked to', async () => {
    expect((await guest.relay(tmpfsArguments({ path: '/code/memory', mode: 0o1777, user: '' }))).code).toBe(
      0,
    );
    expect(
      (await guest.run(['sh', '-c', 'stat -f -c %T /code/memory; stat -c %a /code/memory'])).stdout,
    ).toBe('tmpfs\n1777\n');
    // A workload has not the capability.
    expect((await guest.run(['/.sand/bin/sand-relay', 'tmpfs', '/code/deep', '0755', ''])).code).toBe(1);
  });

  it('tells what it finds, a line each', async () => {
    const input = formatAttempts([
      { kind: 'tcp', address: '203.0.113.5', port: 443 },
      { kind: 'tcp', address: '203.0.113.5', port: 22 },
      { kind: 'ask', server: '9.9.9.9', name: 'known.example' },
      { kind: 'ask', server: '127.0.0.1', name: 'missing.example' },
      { kind: 'ask', server: '127.0.0.1', name: 'denied.example' },
      { kind: 'list', what: 'interfaces' },
      { kind: 'list', what: 'routes' },
      { kind: 'list', what: 'status' },
      { kind: 'list', what: 'mounts' },
    ]);
    const { stdout, code } = await guest.relay(probeArguments, input);
    const found = parseProbe(stdout) ?? [];
    expect(code).toBe(0);
    expect(found).toContainEqual({
      kind: 'tcp',
      address: '203.0.113.5',
      port: 443,
      outcome: 'answered',
      answer: 'hello from the gateway \\x1b[31m',
    });
    expect(found).toContainEqual({
      kind: 'tcp',
      address: '203.0.113.5',
      port: 22,
      outcome: 'nobody',
      answer: '',
    });
    const asks = found.flatMap((one) =>
      one.kind === 'ask' ? [`${one.name} ${one.outcome} ${one.addresses}`] : [],
    );
    expect(asks.sort()).toEqual([
      'denied.example refused ',
      'known.example answered 198.18.0.9',
      'missing.example not-found ',
    ]);
    expect(found.filter(({ kind }) => kind === 'interface' || kind === 'route')).toEqual([
      { kind: 'interface', text: 'lo' },
    ]);
    expect(found.filter((one) => one.kind === 'status').map((one) => one.name)).toContain('CapEff');
    expect(found).toContainEqual({ kind: 'mount', text: '/code' });
    expect(found).not.toContainEqual({ kind: 'mount', text: '/.sand/bin' });
  });

  it('answers attempts that are none with a problem, and takes no more than it can', async () => {
    expect((await guest.relay(probeArguments, 'nonsense\ntcp here 5\n')).stdout).toBe(
      'problem no such attempt\nproblem no such attempt\nend\n',
    );
    expect((await guest.relay(probeArguments, 'interfaces\n'.repeat(161))).code).toBe(2);
    expect((await guest.relay(probeArguments, 'x'.repeat(50_000))).code).toBe(2);
  });

  it('bounds an attempt that hangs', async () => {
    const child = guest.start([
      'run',
      '--id',
      'silent',
      '--',
      '/node/node',
      '-e',
      "require('net').createServer(() => {}).listen(8081, '127.0.0.1', () => console.log('up'))",
    ]);
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const ended = finish(child);
    await until(() => text.includes('up'), 'the silent server');
    const { stdout } = await guest.relay(probeArguments, 'tcp 127.0.0.1 8081\n');
    expect(stdout).toBe('tcp 127.0.0.1 8081 silent\nend\n');
    await guest.relay(['signal', 'silent', 'KILL']);
    await ended;
  });
});
