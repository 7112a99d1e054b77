/** What the tool says of its machines decides whether another is made: by a tool that says what the test wants. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  requireFreeName,
  requireRoom,
  requireSystem,
} from '../../../../controller/backends/tart/machines.ts';

interface Machine {
  readonly os?: 'darwin' | 'linux';
  readonly running?: boolean;
}

let folder: string;
const toolPath = process.env.SAND_TOOL_PATH;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tart-machines-'));
  process.env.SAND_TOOL_PATH = `${folder}:/usr/bin:/bin`;
});
afterEach(() => {
  if (toolPath === undefined) delete process.env.SAND_TOOL_PATH;
  else process.env.SAND_TOOL_PATH = toolPath;
  rmSync(folder, { recursive: true });
});

function has(machines: Readonly<Record<string, Machine>>): void {
  const list = Object.entries(machines).map(([Name, { running = false }]) => ({
    Name,
    Source: 'local',
    Running: running,
    State: running ? 'running' : 'stopped',
  }));
  writeFileSync(join(folder, 'list'), JSON.stringify(list));
  for (const [name, { os = 'darwin', running = false }] of Object.entries(machines)) {
    const facts = { OS: os, Running: running, CPU: 4, Memory: 8192, Disk: 50 };
    writeFileSync(join(folder, `get-${name}`), JSON.stringify(facts));
  }
  const tart =
    '#!/bin/sh\ncase $1 in list) cat "$0-list" ;; get) for name; do :; done; cat "$0-get-$name" ;; esac\n';
  writeFileSync(join(folder, 'tart'), tart.replaceAll('$0-', `${folder}/`));
  chmodSync(join(folder, 'tart'), 0o755);
}

describe('a clone\u2019s name', () => {
  it('is refused where a machine has it, which a clone would overwrite', async () => {
    has({ 'sand-1': {}, other: {} });
    await expect(requireFreeName('sand-1')).rejects.toMatchObject({ code: 'guest-exists' });
    await expect(requireFreeName('sand-2')).resolves.toBeUndefined();
  });

  it('is refused where the list does not read', async () => {
    has({});
    writeFileSync(join(folder, 'list'), '[{"Name": 1}]');
    await expect(requireFreeName('sand-1')).rejects.toMatchObject({ code: 'tool-failed' });
  });
});

describe('room for one more', () => {
  it('is not there where two guests of macOS run, and they are named', async () => {
    has({ new: {}, one: { running: true }, two: { running: true } });
    await expect(requireRoom('new')).rejects.toMatchObject({
      code: 'backend-unavailable',
      message: expect.stringContaining('one and two'),
    });
  });

  it('is there beside one of macOS, any number of Linux, and those that do not run', async () => {
    const linux = { os: 'linux', running: true } as const;
    has({ new: {}, one: { running: true }, off: {}, a: linux, b: linux, c: linux });
    await expect(requireRoom('new')).resolves.toBeUndefined();
  });

  it('is always there for a guest of Linux', async () => {
    has({ new: { os: 'linux' }, one: { running: true }, two: { running: true } });
    await expect(requireRoom('new')).resolves.toBeUndefined();
  });
});

describe('a machine that runs', () => {
  it('is one that the tool says runs', async () => {
    has({ on: { running: true }, off: {} });
    await expect(requireSystem('on')).resolves.toMatchObject({ system: 'macos' });
    await expect(requireSystem('off')).rejects.toMatchObject({ code: 'guest-failed' });
  });
});
