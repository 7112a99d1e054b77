/** What a guest of Tart is planned to see: what this backend cannot do is refused, and no share reaches into another. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GuestSpec, NamedImage } from '../../../../controller/backends/backend.ts';
import { planGuest } from '../../../../controller/backends/tart/guest-plan.ts';

const IMAGE: NamedImage = {
  kind: 'named',
  name: 'base',
  digest: 'sha256:00',
  environment: {},
  platform: 'macos/arm64',
  user: 'admin',
};

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'tart-plan-')));
  mkdirSync(join(folder, 'inner'));
  writeFileSync(join(folder, 'sand.policy.yaml'), 'version: 1\n');
});
afterEach(() => rmSync(folder, { recursive: true }));

function spec(more: Partial<GuestSpec> = {}): GuestSpec {
  return {
    name: 'g',
    mounts: [],
    workdir: '/',
    environment: {},
    shares: [],
    authorities: [],
    cache: null,
    policyFiles: [],
    image: IMAGE,
    place: { folder: join(folder, 'place'), note: () => {} },
    ...more,
  };
}

const mount = (source: string, target: string, writable = true) => ({ source, target, writable });

describe('a guest of Tart', () => {
  it('has each mount as a share by a name of sand\u2019s, and a link where it belongs', () => {
    const { folders, links } = planGuest(
      spec({ mounts: [mount(folder, '/Users/me/work', false)] }),
      {},
      'ethernet',
    );
    expect(folders).toEqual([{ name: 'sand0', source: folder, writable: false }]);
    expect(links).toEqual([{ share: 'sand0', target: '/Users/me/work' }]);
  });

  it('has no mount inside of another, whose link would be written into the folder on the host', () => {
    const mounts = [
      mount(folder, '/Users/me/work'),
      mount(join(folder, 'inner'), '/Users/me/work/inner', false),
    ];
    expect(() => planGuest(spec({ mounts }), {}, 'ethernet')).toThrow(
      expect.objectContaining({
        code: 'workspace-refused',
        message: expect.stringContaining('lies in'),
        hint: expect.stringContaining(':/Users/admin/NAME'),
      }),
    );
  });

  it('has a policy file in force read-only, though it was mounted writable', () => {
    const file = join(folder, 'sand.policy.yaml');
    const { files } = planGuest(
      spec({ mounts: [mount(file, '/opt/policy.yaml')], policyFiles: [file] }),
      {},
      'ethernet',
    );
    expect(files).toEqual([mount(file, '/opt/policy.yaml', false)]);
  });

  it.each([
    [{ isolation: 'gvisor' } as const, 'backend-unavailable'],
    [{ user: { uid: 0, gid: 0 } }, 'backend-unavailable'],
    [{ shares: ['ssh-agent'] } as const, 'share-unavailable'],
  ])('refuses %j', (more, code) => {
    expect(() => planGuest(spec(more), {}, 'ethernet')).toThrow(expect.objectContaining({ code }));
  });
});
