import { expect, it } from 'vitest';
import { planInit, STATUS_DESCRIPTOR } from '../../../../controller/backends/linux/argv.ts';
import { planMounts } from '../../../../controller/backends/linux/mounts.ts';
import { secretMounts } from '../../../../controller/backends/linux/secrets.ts';
import { filesRequest, initSpec } from './samples.ts';

const FIRST_DATA_DESCRIPTOR = STATUS_DESCRIPTOR + 1;
const SECRET = Buffer.from('sesame\0of the test\n');

function launched() {
  const extras = secretMounts([{ name: 'key', content: SECRET }]);
  return planInit(initSpec({ mounts: planMounts(filesRequest({ extras })) }));
}

it('gives a file that its owner alone reads, over the memory file system at /run', () => {
  const { args, data } = launched();
  const handed = data[Number(args[args.indexOf('--args') + 1]) - FIRST_DATA_DESCRIPTOR];
  const options = (handed ?? Buffer.alloc(0)).toString().split('\0');
  const at = options.indexOf('/run/secrets/key');
  expect(options.slice(at - 4, at - 1)).toEqual(['--perms', '0400', '--file']);
  expect(data[Number(options[at - 1]) - FIRST_DATA_DESCRIPTOR]).toEqual(SECRET);
  const folder = options.indexOf('/run/secrets');
  expect(options.slice(folder - 3, folder)).toEqual(['--perms', '0700', '--tmpfs']);
  expect(folder).toBeGreaterThan(options.indexOf('/run'));
});

it('has the content on its own descriptor alone: on no command line and among no options', () => {
  const { args, data } = launched();
  expect(args.join('\n')).not.toContain('sesame');
  expect(data.filter((bytes) => bytes.includes('sesame'))).toEqual([SECRET]);
});

it('makes nothing where there is no secret', () => {
  expect(secretMounts([])).toEqual([]);
});
