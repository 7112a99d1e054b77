import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Mount, planMounts } from '../../../../controller/backends/linux/mounts.ts';
import { isWithin } from '../../../../controller/guest/file-state.ts';
import { CALLER, filesRequest, HOST } from './samples.ts';

const targetOf = (mount: Mount): string => ('target' in mount ? mount.target : `/${mount.kind}`);
const last = (mounts: readonly Mount[], target: string) =>
  mounts.findLast((mount) => targetOf(mount) === target);

describe('planMounts', () => {
  const planned = planMounts(filesRequest());

  it('lets a guest write its workspace, and of the host nothing else', () => {
    const written = planned.filter((mount) => mount.kind === 'bind' && mount.writable).map(targetOf);
    expect(written).toEqual(['/proc/sys/user', '/home/ada/project']);
    expect(planned.some(({ kind }) => kind === 'device')).toBe(false);
  });

  it('tells the resolver of a guest how long to wait, where that is longer than usual', () => {
    const content = (seconds?: number) => {
      const request = seconds === undefined ? filesRequest() : filesRequest({ lookupSeconds: seconds });
      return last(planMounts(request), '/run/resolvconf/resolv.conf');
    };
    expect(content()).toMatchObject({ content: expect.stringContaining('timeout:5 ') });
    expect(content(30)).toMatchObject({ content: expect.stringContaining('timeout:30 ') });
  });

  it('mounts a read-only workspace read-only', () => {
    const workspaces = [{ source: '/srv/data', target: '/data', writable: false }];
    expect(last(planMounts(filesRequest({ workspaces })), '/data')).toMatchObject({ writable: false });
  });

  it.each(['/tmp', '/var/tmp', '/dev/shm', '/run', '/home/ada'])('gives the guest a private %s', (target) => {
    expect(last(planned, target)).toMatchObject({ kind: 'tmpfs' });
  });

  it('hides what nobody could read: a file behind /dev/null, a folder behind an empty one', () => {
    expect(last(planned, '/etc/shadow')).toEqual({
      kind: 'bind',
      source: '/dev/null',
      target: '/etc/shadow',
      writable: false,
    });
    expect(last(planned, '/etc/ssl/private')).toMatchObject({ kind: 'tmpfs' });
  });

  it('mounts the kernel\u2019s settings read-only after procfs, and hides its memory', () => {
    const proc = planned.findIndex(({ kind }) => kind === 'proc');
    const settings = planned.findIndex((mount) => targetOf(mount) === '/proc/sys');
    expect(settings).toBeGreaterThan(proc);
    expect(planned[settings]).toMatchObject({ writable: false });
    expect(last(planned, '/proc/kcore')).toMatchObject({ source: '/dev/null' });
  });

  it('masks every listening socket that a mount would show, where it would be seen', () => {
    const workspaces = [{ source: '/home/ada/project', target: '/project', writable: true }];
    const mounts = planMounts(filesRequest({ workspaces }));
    expect(last(mounts, '/project/agent.sock')).toMatchObject({ source: '/dev/null' });
    expect(last(mounts, '/usr/lib/daemon.sock')).toMatchObject({ source: '/dev/null' });
    expect(mounts.map(targetOf)).not.toContain('/run/docker.sock');
  });

  it('writes the names that the guest knows last, so that nothing covers them', () => {
    const tail = planned.slice(-4);
    expect(tail.map(targetOf)).toEqual([
      '/run/resolvconf/resolv.conf',
      '/etc/hosts',
      '/etc/passwd',
      '/etc/group',
    ]);
    expect(tail[0]).toMatchObject({ content: expect.stringMatching(/^nameserver 198\.18\.0\.1\n/) });
    expect(tail[2]).toMatchObject({ content: expect.stringContaining('sand:x:1234:1234:') });
  });

  it('puts guards over workspaces, and an empty npmrc over the caller\u2019s', () => {
    const guard: Mount = {
      kind: 'bind',
      source: '/home/ada/project/.envrc',
      target: '/home/ada/project/.envrc',
      writable: false,
    };
    const mounts = planMounts(filesRequest({ guards: [guard] }));
    expect(mounts.indexOf(guard)).toBeGreaterThan(
      mounts.findIndex((mount) => targetOf(mount) === '/home/ada/project'),
    );
    expect(last(mounts, '/home/ada/.npmrc')).toMatchObject({ kind: 'file', content: '' });
  });

  it('shows nothing of the caller\u2019s home but toolchains and what was named, whatever the workspaces are', () => {
    const segment = fc.stringMatching(/^[a-z]{1,6}$/);
    const workspace = fc.record({
      source: segment.map((name) => `/srv/${name}`),
      target: segment.map((name) => `/project/${name}`),
      writable: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(workspace, { maxLength: 4 }), (workspaces) => {
        const shown = planMounts(filesRequest({ workspaces })).flatMap((mount) =>
          mount.kind === 'bind' ? [mount] : [],
        );
        const ofHome = shown
          .filter(({ source }) => isWithin(source, CALLER.home))
          .map(({ source }) => source);
        expect(ofHome).toEqual(HOST.toolchains);
        for (const { source, writable } of shown) {
          // Limits of the guest's own user namespace, which it has no capability to set.
          if (writable && source !== '/proc/sys/user')
            expect(workspaces.some((named) => named.writable && named.source === source)).toBe(true);
        }
      }),
    );
  });
});

describe('isWithin', () => {
  it.each([
    ['/a/b', '/a', true],
    ['/a', '/a', true],
    ['/ab', '/a', false],
    ['/a', '/', true],
    ['/', '/a', false],
  ])('%s in %s: %s', (path, folder, within) => {
    expect(isWithin(path, folder)).toBe(within);
  });
});
