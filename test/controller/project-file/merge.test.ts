import { describe, expect, it } from 'vitest';
import { mergeProject, remainderOf } from '../../../controller/project-file/merge.ts';
import { decode, EVERYTHING, NO_FLAGS } from './samples.ts';

const context = { folder: '/repo', caller: { TOKEN: 'own' } };
const file = decode(EVERYTHING);

describe('mergeProject', () => {
  it('takes the file where no flag speaks, its paths relative to its folder', () => {
    const { asked } = mergeProject(file, NO_FLAGS, context);
    expect(asked).toEqual({
      name: 'web',
      backend: 'linux',
      platform: 'linux/amd64',
      volumes: [{ name: 'node_modules', target: './node_modules', folder: '/repo' }],
      image: '/repo/images/node.tar',
      isolation: 'gvisor',
      user: '1000:1000',
      readOnly: true,
      policies: ['strict', 'group:github-core', '/repo/company.yaml'],
      mounts: [
        { source: '/repo', target: null, writable: true },
        { source: '/data', target: '/data', writable: false },
        { source: '/repo/assets', target: '/assets', writable: false },
      ],
      workdir: '/project',
      environment: { MODE: 'test', PORT: '3000', DEBUG: 'true' },
      shares: ['gitconfig'],
      secrets: ['token=/repo/token'],
      ports: ['8080:3000'],
      trustCa: ['/repo/ca.pem'],
      cache: true,
      resources: { cpus: '1.50', memory: '512MiB', pids: '256', disk: '10GiB' },
      timeoutMs: 600_000,
      phaseAfter: ['npm ci'],
      command: ['npm', 'test', '1', 'true'],
    });
  });

  it('lets flags beat the file, and lists add, but for policies, phases and the command', () => {
    const flags = {
      ...NO_FLAGS,
      backend: 'other',
      policies: ['offline'],
      mounts: [{ source: 'x', target: '/data', writable: true }],
      environment: { MODE: 'flag', MORE: '1' },
      shares: ['npmrc', 'gitconfig'] as const,
      cache: false,
      readOnly: false,
      resources: { ...NO_FLAGS.resources, pids: '7' },
      ports: ['9090:9'],
      timeoutMs: 5,
      phaseAfter: ['make'],
      command: ['true'],
    };
    const { asked } = mergeProject(file, flags, context);
    expect(asked).toMatchObject({
      backend: 'other',
      policies: ['offline'],
      mounts: [
        { source: '/repo', target: null, writable: true },
        { source: '/repo/assets', target: '/assets', writable: false },
        { source: 'x', target: '/data', writable: true },
      ],
      environment: { MODE: 'flag', PORT: '3000', MORE: '1' },
      shares: ['gitconfig', 'npmrc'],
      ports: ['8080:3000', '9090:9'],
      cache: false,
      readOnly: false,
      resources: { cpus: '1.50', pids: '7' },
      timeoutMs: 5,
      phaseAfter: ['make'],
      command: ['true'],
    });
  });

  it('makes the paths in images and secrets absolute, and lets a flag have its secret', () => {
    const asking = decode('version: 1\nimage: oci-archive:./a.tar:x\nsecrets: [a=./a, b=env:B, c=c]\n');
    expect(mergeProject(asking, { ...NO_FLAGS, secrets: ['c=/other'] }, context).asked).toMatchObject({
      image: 'oci-archive:/repo/a.tar:x',
      secrets: ['a=/repo/a', 'b=env:B', 'c=/other'],
    });
    const reference = decode('version: 1\nimage: example.com/node:24\n');
    expect(mergeProject(reference, NO_FLAGS, context).asked.image).toBe('example.com/node:24');
  });

  it('leaves the flags as they are beside a file that says nothing', () => {
    const flags = { ...NO_FLAGS, policies: ['strict'], command: ['true'], mounts: [] };
    expect(mergeProject(decode('version: 1\n'), flags, context).asked).toEqual(flags);
  });

  it('passes the caller’s own variable, and refuses one that the caller does not have', () => {
    const asking = decode('version: 1\nenvironment: [TOKEN]\n');
    expect(mergeProject(asking, NO_FLAGS, context).asked.environment).toEqual({ TOKEN: 'own' });
    const without = { ...context, caller: {} };
    expect(() => mergeProject(asking, NO_FLAGS, without)).toThrow(
      'sand.yaml:2:15: the variable TOKEN is not set here',
    );
    const flags = { ...NO_FLAGS, environment: { TOKEN: 'flag' } };
    expect(mergeProject(asking, flags, without).asked.environment).toEqual({ TOKEN: 'flag' });
  });

  it('keeps the place of every setting, of the file or a flag', () => {
    const flags = { ...NO_FLAGS, policies: ['offline'], environment: { MODE: 'x' } };
    const { origins } = mergeProject(file, flags, context);
    const from = (setting: string) => origins.filter((one) => one.setting === setting).map((one) => one.from);
    expect(from('policy')).toEqual(['--policy']);
    expect(from('environment.MODE')).toEqual(['--env']);
    expect(from('environment.PORT')).toEqual(['sand.yaml:16:3']);
    expect(from('mounts')).toEqual(['sand.yaml:10:5', 'sand.yaml:11:5', 'sand.yaml:12:5']);
    expect(from('timeout')).toEqual(['sand.yaml:24:10']);
    expect(from('resources.cpus')).toEqual(['sand.yaml:23:19']);
  });
});

describe('remainderOf', () => {
  it('is what takes effect of the file', () => {
    expect(remainderOf(file, NO_FLAGS)).toEqual(file);
    const rest = remainderOf(file, { ...NO_FLAGS, policies: ['offline'], image: 'x' });
    expect(rest.policy).toEqual([]);
    expect(rest.image).toBeNull();
    expect(rest.mounts).toEqual(file.mounts);
  });
});
