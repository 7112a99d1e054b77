import { describe, expect, it } from 'vitest';
import { resolveImageUser } from '../../../controller/images/users.ts';

const accounts = {
  passwd:
    'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\nodd:x:7:7::relative:/bin/sh\nproc:x:8:8::/proc/x:\n',
  group: 'root:x:0:\nstaff:x:50:\n',
};

describe('resolveImageUser', () => {
  it.each<readonly [string, unknown]>([
    ['', { uid: 0, gid: 0, user: 'root', home: '/root', listed: true }],
    ['node', { uid: 1000, gid: 1001, user: 'node', home: '/home/node', listed: true }],
    ['1000', { uid: 1000, gid: 1001, user: 'node', home: '/home/node', listed: true }],
    ['node:staff', { uid: 1000, gid: 50, user: 'node', home: '/home/node', listed: true }],
    ['33:34', { uid: 33, gid: 34, user: 'sand', home: '/home/sand', listed: false }],
    ['33', { uid: 33, gid: 0, user: 'sand', home: '/home/sand', listed: false }],
    ['odd', { uid: 7, gid: 7, user: 'odd', home: '/home/sand', listed: true }],
    ['proc', { uid: 8, gid: 8, user: 'proc', home: '/home/sand', listed: true }],
  ])('%j', (text, expected) => {
    expect(resolveImageUser(text, accounts)).toEqual(expected);
  });

  it('takes numbers where the image has no accounts', () => {
    const none = { passwd: null, group: null };
    expect(resolveImageUser('', none)).toEqual({
      uid: 0,
      gid: 0,
      user: 'sand',
      home: '/home/sand',
      listed: false,
    });
    expect(() => resolveImageUser('node', none)).toThrow(expect.objectContaining({ code: 'image-invalid' }));
  });

  it.each(['nobody-here', 'node:nogroup', '-1', '4294967296', '1e3', '0x0'])('refuses %s', (text) => {
    expect(() => resolveImageUser(text, accounts)).toThrow(
      expect.objectContaining({ code: 'image-invalid' }),
    );
  });

  it('takes no number that bubblewrap would read as another from a passwd line', () => {
    const passwd = 'big:x:4294967296:0::/:\nneg:x:-1:0::/:\n';
    for (const name of ['big', 'neg'])
      expect(() => resolveImageUser(name, { passwd, group: null })).toThrow(/not in its/);
  });
});
