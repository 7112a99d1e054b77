import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { judgeContainer } from '../../../../controller/backends/apple-container/container-verdicts.ts';
import {
  type ContainerFacts,
  parseContainers,
} from '../../../../controller/backends/apple-container/parse.ts';

const FOUND = parseContainers(
  readFileSync(join(import.meta.dirname, 'recorded/inspect-1.2.2.json'), 'utf8'),
)?.[0];

function failing(change: Partial<ContainerFacts>): readonly string[] {
  if (FOUND === undefined) return ['nothing was recorded'];
  return judgeContainer({ ...FOUND, ...change })
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);
}

describe('a container', () => {
  it('passes as it was asked for', () => {
    expect(failing({})).toEqual([]);
  });

  it.each([
    ['a network', { networks: 1 }, 'container-networks'],
    ['a published port', { publishedPorts: 1 }, 'container-ways-in'],
    ['a published socket', { publishedSockets: 1 }, 'container-ways-in'],
    ['another resolver', { nameservers: ['192.168.64.1'] }, 'container-resolver'],
    ['a second resolver', { nameservers: ['127.0.0.1', '192.168.64.1'] }, 'container-resolver'],
    ['no resolver', { nameservers: [] }, 'container-resolver'],
    ['the caller\u2019s agent', { ssh: true }, 'container-agent'],
  ])('with %s does not pass', (_, change, name) => {
    expect(failing(change)).toEqual([name]);
  });

  it('that the tool does not know does not pass', () => {
    expect(judgeContainer(null).every(({ passed }) => !passed)).toBe(true);
  });
});
