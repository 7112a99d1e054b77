/**
 * What the learning round trip is made of, all on 127.0.0.1: a parent proxy that leads every name of its table to one
 * server, which serves a Python package index, a file store and a git repository.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';

export const INDEX = 'index.learn.test';
export const FILES = 'files.learn.test';
export const GIT = 'git.learn.test';

export interface Jobs {
  /** For `--upstream-proxy`. */
  readonly parent: string;
  /** `host path` of each request that came through. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export async function createJobs(): Promise<Jobs> {
  const folder = mkdtempSync(join(tmpdir(), 'sand-learn-'));
  writeWheel(folder);
  writeRepository(folder);
  const requests: string[] = [];
  // Plain HTTP comes to a parent in absolute form.
  const server = createServer((request, response) => {
    const { host, pathname } = new URL(request.url ?? '/', 'http://none.learn.test');
    requests.push(`${host} ${pathname}`);
    const body = host === INDEX ? indexPage(pathname) : readPublished(join(folder, host), pathname);
    response.statusCode = body === null ? 404 : 200;
    if (host === INDEX) response.setHeader('content-type', 'text/html');
    response.end(body ?? 'nothing here\n');
  });
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  return {
    parent: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const WHEEL = 'thing-1.0-py3-none-any.whl';

/** A page of the simple index (PEP 503) whose file lies on another host, as on the real one. */
function indexPage(path: string): string | null {
  if (path !== '/simple/thing/') return null;
  return `<!DOCTYPE html><html><body><a href="http://${FILES}/${WHEEL}">${WHEEL}</a></body></html>`;
}

function readPublished(root: string, path: string): Buffer | null {
  try {
    return readFileSync(join(root, normalize(path)));
  } catch {
    return null;
  }
}

function writeWheel(folder: string): void {
  const root = join(folder, FILES);
  const info = join(root, 'thing-1.0.dist-info');
  mkdirSync(info, { recursive: true });
  writeFileSync(join(root, 'thing.py'), 'NAME = "thing"\n');
  writeFileSync(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n');
  writeFileSync(
    join(info, 'WHEEL'),
    'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
  );
  writeFileSync(
    join(info, 'RECORD'),
    'thing.py,,\nthing-1.0.dist-info/METADATA,,\nthing-1.0.dist-info/WHEEL,,\nthing-1.0.dist-info/RECORD,,\n',
  );
  const script = 'import shutil,sys; shutil.make_archive(sys.argv[1], "zip", sys.argv[2])';
  execFileSync('/usr/bin/python3', ['-c', script, join(folder, 'wheel'), root]);
  execFileSync('mv', [join(folder, 'wheel.zip'), join(root, WHEEL)]);
}

/** A bare repository that the dumb HTTP protocol can read: files, and lists of them. */
function writeRepository(folder: string): void {
  const work = join(folder, 'work');
  const bare = join(folder, GIT, 'repo.git');
  mkdirSync(work, { recursive: true });
  mkdirSync(join(folder, GIT), { recursive: true });
  const git = (cwd: string, ...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd,
      stdio: 'pipe',
    });
  git(work, 'init', '-q', '-b', 'main');
  writeFileSync(join(work, 'file.txt'), 'content\n');
  git(work, 'add', '.');
  git(work, 'commit', '-q', '-m', 'first');
  git(folder, 'clone', '-q', '--bare', work, bare);
  git(bare, 'update-server-info');
}
