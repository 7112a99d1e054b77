/** Guests that flood, stall and half-close the relay, and hosts that are dead: it stays bounded, and serves the next one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { echoLines, type RelayHandler } from './proxy-host.ts';
import { reasonToSkip, startGuest, type TestGuest, until } from './test-guest.ts';

const reason = reasonToSkip();
/** Of the relay's first process: code, tables and one buffer. */
const MOST_RESIDENT_KIB = 4_096;

function residentKiB(guest: TestGuest): number {
  const status = readFileSync(`/proc/${guest.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}

async function withGuest(
  proxy: RelayHandler,
  use: (guest: TestGuest) => Promise<void>,
  prepare?: (folder: string) => void,
): Promise<void> {
  const guest = await startGuest({
    proxy,
    dns: (socket) => socket.destroy(),
    ...(prepare === undefined ? {} : { prepare }),
  });
  try {
    await use(guest);
  } finally {
    await guest.close();
  }
}

const echo: RelayHandler = (socket, _, first) => {
  socket.write(first);
  socket.pipe(socket);
};

describe.skipIf(reason !== null)(`load${reason === null ? '' : ` (${reason})`}`, () => {
  it('keeps the bytes of 500 connections at a time apart and whole, and its memory small', async () => {
    await withGuest(echo, async (guest) => {
      const { stdout, stderr } = await guest.node(`
        const net = require('net'), crypto = require('crypto');
        let open = 500, wrong = 0;
        for (let at = 0; at < 500; at++) {
          const sent = crypto.randomBytes(20_000 + at * 37), got = [];
          const socket = net.connect({ host: '203.0.113.' + (at % 250), port: 443, allowHalfOpen: true });
          socket.on('connect', () => socket.end(sent)).on('data', (chunk) => got.push(chunk)).on('error', () => wrong++);
          socket.on('close', () => {
            if (!Buffer.concat(got).equals(sent)) wrong++;
            if (--open === 0) console.log('wrong', wrong);
          });
        }
      `);
      expect(stdout + stderr).toBe('wrong 0\n');
      expect(residentKiB(guest)).toBeLessThan(MOST_RESIDENT_KIB);
    });
  });

  it('carries 32 MiB each way at a time, past readers that stall', async () => {
    const hash = createHash('sha256');
    let host: Socket | undefined;
    const big = Buffer.alloc(32 << 20, 'from the host ');
    await withGuest(
      (socket, _, first) => {
        host = socket;
        hash.update(first);
        socket.on('data', (chunk) => hash.update(chunk));
        socket.pause();
        setTimeout(() => socket.resume(), 300);
        socket.end(big);
      },
      async (guest) => {
        const { stdout } = await guest.node(`
          const hash = require('crypto').createHash('sha256');
          const socket = require('net').connect({ host: '203.0.113.5', port: 443, allowHalfOpen: true });
          socket.on('data', (chunk) => hash.update(chunk)).on('end', () => console.log(hash.digest('hex')));
          socket.pause();
          setTimeout(() => socket.resume(), 300);
          socket.end(Buffer.alloc(32 << 20, 'from the guest '));
        `);
        expect(stdout.trim()).toBe(createHash('sha256').update(big).digest('hex'));
        await until(() => host?.readableEnded, 'the end of what the guest sent');
        expect(hash.digest('hex')).toBe(
          createHash('sha256')
            .update(Buffer.alloc(32 << 20, 'from the guest '))
            .digest('hex'),
        );
        expect(residentKiB(guest)).toBeLessThan(MOST_RESIDENT_KIB);
      },
    );
  });

  it('ends each direction by itself', async () => {
    const seen: string[] = [];
    await withGuest(
      (socket, _, first) => {
        socket.end('the host is done\n');
        const rest = [first];
        socket.on('data', (chunk) => rest.push(chunk));
        socket.on('end', () => seen.push(Buffer.concat(rest).toString()));
      },
      async (guest) => {
        const { stdout } = await guest.node(`
          const socket = require('net').connect({ host: '203.0.113.5', port: 80, allowHalfOpen: true });
          socket.on('data', (chunk) => process.stdout.write(chunk));
          socket.on('end', () => { socket.write('after '); setTimeout(() => socket.end('the end'), 50); });
        `);
        expect(stdout).toBe('the host is done\n');
        await until(() => seen.length > 0, 'the end of the guest side');
        expect(seen).toEqual(['after the end']);
      },
    );
  });

  it('lets go of the guest when the host is gone, and of the host when the guest is', async () => {
    let closed = false;
    await withGuest(
      (socket, _, first) => {
        const hear = (chunk: Buffer) => chunk.includes('go') && socket.destroy();
        hear(first);
        socket.on('data', hear);
        socket.on('end', () => {
          closed = true;
        });
      },
      async (guest) => {
        const { stdout } = await guest.node(`
          const socket = require('net').connect({ host: '203.0.113.5', port: 80, allowHalfOpen: true });
          socket.on('connect', () => socket.write('go')).on('error', (error) => console.log(error.code));
          socket.on('end', () => { const timer = setInterval(() => socket.write('more'), 20);
            socket.on('close', () => { console.log('closed'); clearInterval(timer); }); }).resume();
        `);
        expect(stdout).toMatch(/closed\n$/);
        await guest.node(`
          const socket = require('net').connect({ host: '203.0.113.5', port: 80 });
          socket.on('connect', () => socket.write('x', () => { socket.resetAndDestroy(); }));
        `);
        await until(() => closed, 'the end at the host');
      },
    );
  });

  it('resets what the table has no room for, in bounded memory, and serves on when there is', async () => {
    await withGuest(
      (socket, header, first) => echoLines(socket, header, first),
      async (guest) => {
        const { stdout } = await guest.node(`
          const net = require('net');
          const sockets = []; let connected = 0, refused = 0;
          function more() {
            if (sockets.length === 1500) return setTimeout(done, 500);
            for (let at = 0; at < 100; at++) {
              const socket = net.connect(443, '203.0.113.5').on('connect', () => connected++).on('error', () => refused++);
              sockets.push(socket);
            }
            setTimeout(more, 20);
          }
          function done() {
            console.log(connected - refused <= 1024, refused >= 400);
            for (const socket of sockets) socket.destroy();
            setTimeout(() => {
              net.connect({ port: 443, host: '203.0.113.6', allowHalfOpen: true }).on('connect', function () { this.end('again\\n'); })
                .on('data', (chunk) => process.stdout.write(chunk)).on('close', () => process.exit());
            }, 300);
          }
          more();
        `);
        expect(stdout).toBe('true true\n203.0.113.6:443 again\nend\n');
        expect(residentKiB(guest)).toBeLessThan(MOST_RESIDENT_KIB);
      },
    );
  });

  it('resets at once where the host does not listen', async () => {
    await withGuest(echoLines, async (guest) => {
      rmSync(join(guest.folder, 'sand/proxy.sock'));
      const started = Date.now();
      const { stdout } = await guest.node(`
        require('net').connect(443, '203.0.113.5').on('error', (error) => console.log(error.code));
      `);
      expect(stdout).toBe('ECONNRESET\n');
      expect(Date.now() - started).toBeLessThan(5_000);
    });
  });

  it('resets in time where the host takes connections and reads none, and while its queue is full', async () => {
    // Never accepted: the queue of one fills, and what is in it is never read.
    const script = `
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1]); s.listen(1)
print('listening', flush=True)
time.sleep(60)`;
    let child: ChildProcess | undefined;
    const guest = await startGuest({ proxy: echoLines, dns: (socket) => socket.destroy() });
    try {
      rmSync(join(guest.folder, 'sand/proxy.sock'));
      child = spawn('python3', ['-c', script, `${guest.folder}/sand/proxy.sock`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout ?? child, 'data');
      const { stdout } = await guest.node(`
        const net = require('net'); let left = 8; const started = Date.now();
        for (let at = 0; at < 8; at++) net.connect(443, '203.0.113.5').on('error', (error) => {
          if (--left === 0) console.log(error.code, Date.now() - started > 9000, Date.now() - started < 15000);
        }).on('connect', function () { this.write('hello'); });
      `);
      expect(stdout).toBe('ECONNRESET true true\n');
      expect((await guest.relay(['mode'])).stdout).toBe('redirect\n');
    } finally {
      child?.kill('SIGKILL');
      await guest.close();
    }
  });

  it('goes on through floods of its control socket, of datagrams and of packets', async () => {
    await withGuest(echoLines, async (guest) => {
      const flood = `
        import socket, threading, time
        end = time.time() + 2
        def control():
            while time.time() < end:
                try:
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('\\0sand-relay')
                    s.send(b'mode')
                    if s.recv(100) != b'': print('heard')
                except OSError: pass
        def datagrams():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            while time.time() < end:
                for port in range(1000, 1400):
                    try: s.sendto(b'x' * 1200, ('203.0.113.7', port)); s.sendto(b'x' * 1200, ('203.0.113.7', 53))
                    except OSError: pass
        threads = [threading.Thread(target=t) for t in (control, control, datagrams)]
        [t.start() for t in threads]; [t.join() for t in threads]
      `.replaceAll('\n        ', '\n');
      const flooding = guest.run(['python3', '-c', flood], { user: 'nobody' });
      const { stdout } = await guest.node(`
        require('net').connect({ host: '203.0.113.5', port: 443, allowHalfOpen: true }).on('connect', function () { this.end('through\\n'); })
          .on('data', (chunk) => process.stdout.write(chunk));
      `);
      expect(stdout).toBe('203.0.113.5:443 through\nend\n');
      // Another user's request is never answered.
      expect(await flooding).toMatchObject({ code: 0, stdout: '', stderr: '' });
      const tried = (await guest.relay(['tried'])).stdout.trim().split('\n');
      expect(tried).toHaveLength(257);
      expect(tried.at(-1)).toMatch(/^others \d+$/);
      expect(residentKiB(guest)).toBeLessThan(MOST_RESIDENT_KIB);
    });
  });

  it('survives malformed requests, and answers the next', async () => {
    await withGuest(echoLines, async (guest) => {
      const { stdout } = await guest.run([
        'python3',
        '-c',
        `
import socket
def ask(text):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(5); s.connect('\\0sand-relay')
    try:
        s.send(text); return s.recv(40000)[:60]
    except OSError as error: return str(error).encode()
idle = []
for at in range(40):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('\\0sand-relay'); idle.append(s)
import time; time.sleep(2.5)
for text in [b'', b' ', b'mode ', b'mode x', b'mode\\0', b'x' * 512, b'x' * 513, b'x' * 60000, b'begin', b'begin a 1 own',
             b'begin a 99999999999 own', b'begin a 5 both', b'begin ' + b'a' * 64 + b' 5 own', b'end nobody 0', b'end a 256',
             b'status', b'signal a KILL', b'signal a NONE', b'plant -1', b'plant 99999', b'plant 0', bytes(range(1, 200)), b'a b c d e']:
    print(text[:20], ask(text))
print(ask(b'mode'))`,
      ]);
      const lines = stdout.trim().split('\n');
      expect(lines.at(-1)).toBe("b'redirect'");
      for (const line of lines.slice(0, -1)) expect(line).toMatch(/b''$|b'problem |b'unknown'$/);
      expect(lines).toHaveLength(24);
    });
  });
});
