import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, resultOf } from './container-call.ts';
import { endTart, setTart } from './tart/emulation.ts';
import { createTart, type EmulatedTart, IMAGE } from './tart-call.ts';

describe('VMs of the emulated tart', () => {
  let tart: EmulatedTart;
  beforeAll(() => {
    tart = createTart();
  });
  afterAll(() => tart.end());

  const macOf = (name: string) =>
    JSON.parse(readFileSync(join(tart.home, '.tart/vms', name, 'config.json'), 'utf8')).macAddress;
  const names = async (...options: string[]) =>
    (await tart.call('list', '-q', ...options)).stdout.trim().split('\n');

  it('come of an image that is pulled meanwhile, with another address where one has it', async () => {
    const first = await tart.call('clone', IMAGE, 'one');
    expect([first.status, first.stdout]).toEqual([0, '']);
    expect(first.stderr).toMatch(/pulling manifest[\s\S]*100%/);
    const second = await tart.call('clone', IMAGE, 'two');
    expect([second.status, second.stderr]).toEqual([0, '']);
    expect(macOf('one')).not.toBe(macOf('two'));
    expect(await names('--source', 'local')).toEqual(['one', 'two']);
    const digest = (await tart.call('fqn', IMAGE)).stdout.trim();
    expect(digest).toMatch(/^registry\.example\/org\/macos@sha256:[0-9a-f]{64}$/);
    expect(await names('--source', 'oci')).toEqual([IMAGE, digest].sort());
  });

  it('are replaced by a clone of the same name, without a question', async () => {
    await tart.call('set', 'two', '--cpu', '7');
    expect((await tart.call('clone', 'one', 'two')).status).toBe(0);
    expect(JSON.parse((await tart.call('get', 'two', '--format', 'json')).stdout)).toMatchObject({ CPU: 4 });
  });

  it('are told of as the tool does', async () => {
    await tart.call('set', 'one', '--cpu', '2', '--memory', '4096', '--display', '800x600px', '--random-mac');
    const got = await tart.call('get', 'one', '--format', 'json');
    expect(got.stdout).toContain('"OS" : "darwin"');
    expect(JSON.parse(got.stdout)).toEqual({
      ...{ OS: 'darwin', CPU: 2, Memory: 4096, Disk: 50, DiskFormat: 'raw', Size: '21.500' },
      ...{ Display: '800x600px', Running: false, State: 'stopped' },
    });
    const listed = JSON.parse((await tart.call('list', '--source', 'local', '--format', 'json')).stdout);
    expect(listed[0]).toEqual({
      ...{ Source: 'local', Name: 'one', Disk: 50, Size: 21, Running: false, State: 'stopped' },
      Accessed: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+Z$/),
    });
    expect((await tart.call('list')).stdout).toMatch(/^Source +Name/);
  });

  it('keep least resources and never shrink', async () => {
    const wrong = [
      ['--cpu', '1'],
      ['--memory', '10'],
      ['--disk-size', '20'],
    ];
    for (const options of wrong)
      expect((await tart.call('set', 'one', ...options)).status, options.join(' ')).toBe(1);
    expect((await tart.call('set', 'one', '--display', 'widexhigh')).status).toBe(0);
  });

  it('have statuses of their own for what is not there, or does not run', async () => {
    const expected: [string[], number][] = [
      [['get', 'none'], 2],
      [['set', 'none', '--cpu', '4'], 2],
      [['delete', 'none'], 2],
      [['stop', 'none'], 2],
      [['stop', 'one'], 2],
      [['suspend', 'one'], 2],
      [['exec', 'one', 'true'], 2],
      [['exec', 'none', 'true'], 2],
      // It looks for the VM while it checks the command line.
      [['run', 'none', '--net-softnet'], 1],
      [['clone', 'none', 'x'], 2],
      [['clone', 'registry.example/none:1', 'x'], 1],
      [['rename', 'none', 'x'], 64],
      [['push', 'one', 'registry.example/x:1'], 1],
    ];
    for (const [words, status] of expected) {
      const result = await tart.call(...words);
      expect([words.join(' '), result.status]).toEqual([words.join(' '), status]);
      expect(result.stderr.trim()).not.toBe('');
    }
  });

  it('are deleted one after the other, up to the first that cannot be', async () => {
    for (const name of ['a', 'b']) await tart.call('clone', 'one', name);
    expect((await tart.call('delete', 'a', 'none', 'b')).status).toBe(2);
    expect(await names('--source', 'local')).toEqual(['b', 'one', 'two']);
  });

  it('leave nothing unfinished, whoever was making it', async () => {
    const left = join(tart.home, '.tart/tmp/LEFT');
    mkdirSync(left, { recursive: true });
    writeFileSync(join(left, 'maker.lock'), '{"pid":1,"began":"never"}');
    await tart.call('clone', 'one', 'c');
    expect(existsSync(left)).toBe(true);
    await tart.call('list');
    expect(readdirSync(join(tart.home, '.tart/tmp'))).toEqual([]);
  });

  it('are made empty, or installed with what is told of it', async () => {
    expect((await tart.call('create', '--linux', 'empty', '--disk-size', '20')).status).toBe(0);
    const installed = await tart.call('create', '--from-ipsw', 'latest', 'fresh');
    expect(installed.stdout).toMatch(/Looking up[\s\S]*Installing OS[\s\S]*100%/);
    expect(JSON.parse((await tart.call('get', 'empty', '--format', 'json')).stdout)).toMatchObject({
      OS: 'linux',
      Disk: 20,
    });
    expect((await tart.call('create', '--from-ipsw', '/no/such.ipsw', 'y')).status).toBe(1);
  });

  it('never have NAT, a bridge, or what else nobody emulates', async () => {
    const refused = await tart.call('run', 'one', '--no-graphics');
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining('not emulated: run without --net-softnet'),
    ]);
    expect((await tart.call('run', 'one', '--net-bridged', 'list')).status).toBe(64);
    expect((await tart.call('run', 'one', '--net-softnet', '--nested')).stderr).toContain('not emulated');
  });

  it('trap, refuse shares without names, and those of folders that are not there', async () => {
    const trapped = await resultOf(tart.begin('run', 'one', '--net-softnet', '--dir', ':'));
    expect(trapped).toMatchObject({ status: null, stderr: expect.stringContaining('Fatal error') });
    const unnamed = await tart.call('run', 'one', '--net-softnet', '--dir', '/tmp', '--dir', '/');
    expect(unnamed.status).toBe(64);
    const missing = await tart.call('run', 'one', '--net-softnet', '--dir', 'x:/no/such');
    expect([missing.status, missing.stderr]).toEqual([
      1,
      expect.stringContaining('directory sharing device'),
    ]);
    expect((await tart.call('list', '--format', 'json')).stdout).not.toContain('"running"');
  });

  it('show faults of a call, and lies', async () => {
    setTart(tart.home, {
      version: '2.30.0',
      faults: [
        { fault: 'hang', command: 'get' },
        { fault: 'garbage', command: 'fqn' },
        { fault: 'fail', command: 'delete', message: 'Error: “b” couldn’t be removed.' },
        { fault: 'no-space', vm: 'full' },
        { fault: 'lying-list', vm: 'one', value: { State: 'running', Running: true } },
      ],
    });
    expect((await tart.call('--version')).stdout).toBe('2.30.0\n');
    expect((await tart.call('delete', 'b')).status).toBe(1);
    expect((await tart.call('clone', 'one', 'full')).stderr).toContain('out of space');
    expect((await tart.call('fqn', IMAGE)).stdout).not.toContain('sha256');
    const [, , , , one] = JSON.parse((await tart.call('list', '--format', 'json')).stdout);
    expect(one).toMatchObject({ Name: 'one', State: 'running', SizeOnDisk: 21 });
    const hanging = resultOf(tart.begin('get', 'one'));
    await eventually('the call hangs, and is ended', async () => {
      await endTart(tart.home);
      return (await Promise.race([hanging, null])) !== null;
    });
    writeFileSync(join(tart.home, '.tart/emulator.json'), '{"fault":[]}');
    expect((await tart.call('list')).status).toBe(70);
  });
});
