import { describe, expect, it } from 'vitest';
import {
  judgeParts,
  type MachineParts,
  missingParts,
} from '../../../../../controller/backends/linux/vm/parts.ts';

const WHOLE: MachineParts = {
  kernel: { release: '6.1.0-56-cloud-amd64', image: '/k', modules: '/m' },
  busybox: Buffer.from(''),
  virtiofsd: '/v',
  emulator: '/q',
  sshClient: '/s',
  sshServer: '/d',
};

describe('judgeParts', () => {
  it('names the kernel where nothing is missing', () => {
    expect(missingParts(WHOLE)).toEqual([]);
    expect(judgeParts(WHOLE)).toMatchObject({
      state: 'ok',
      message: 'kernel 6.1.0-56-cloud-amd64',
      remedy: null,
    });
  });

  it.each(Object.keys(WHOLE) as (keyof MachineParts)[])('says how to get a missing %s', (name) => {
    const finding = judgeParts({ ...WHOLE, [name]: null });
    expect(finding.state).toBe('warning');
    expect(finding.remedy).toMatch(/apt-get install|sand image create vm/);
  });
});
