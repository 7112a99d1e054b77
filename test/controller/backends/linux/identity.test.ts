import { describe, expect, it } from 'vitest';
import { guestIdentity } from '../../../../controller/backends/linux/identity.ts';
import { planMounts } from '../../../../controller/backends/linux/mounts.ts';
import { filesRequest } from './samples.ts';

describe('who a guest is', () => {
  it('is whom it was asked to be, with a home of the caller', () => {
    expect(guestIdentity({ uid: 12, gid: 34 })).toMatchObject({ uid: 12, gid: 34, user: 'sand' });
    expect(guestIdentity({ uid: 0, gid: 0 })).toMatchObject({ uid: 0, user: 'root' });
  });

  it('is never uid 0 unasked', () => {
    expect(guestIdentity(null).uid).not.toBe(0);
  });

  it.each([0, 12, 65_534])('has one line for uid %i that counts, and a folder in /run', (uid) => {
    const mounts = planMounts(filesRequest({ identity: guestIdentity({ uid, gid: uid }) }));
    const passwd = mounts.find((mount) => mount.kind === 'data' && mount.target === '/etc/passwd');
    const lines = passwd?.kind === 'data' ? String(passwd.content).split('\n') : [];
    const [first] = lines.filter((line) => line.split(':')[2] === String(uid));
    expect(first).toMatch(new RegExp(`^(sand|root):x:${uid}:${uid}:guest of sand:`));
    expect(mounts).toContainEqual({ kind: 'directory', target: `/run/user/${uid}`, mode: '0700' });
  });
});
