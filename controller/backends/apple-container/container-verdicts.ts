/** Whether a container is what was asked for, by the tool's own word: before it boots, and before each of its commands. Pure. */
import type { ProbeResult } from '../../../audit/event.ts';
import { NAMESERVER } from './argv.ts';
import type { ContainerFacts } from './parse.ts';

/** Fail closed: one that the tool does not tell of, or tells of otherwise, does not pass. */
export function judgeContainer(found: ContainerFacts | null): readonly ProbeResult[] {
  if (found === null) return [result('container', false, 'the tool knows no such container')];
  const { networks, publishedPorts, publishedSockets, nameservers, ssh } = found;
  return [
    result('container-networks', networks === 0, `${networks} networks`),
    result(
      'container-ways-in',
      publishedPorts + publishedSockets === 0,
      `${publishedPorts} ports, ${publishedSockets} sockets`,
    ),
    result(
      'container-resolver',
      nameservers.length === 1 && nameservers[0] === NAMESERVER,
      nameservers.join(', ') || 'none',
    ),
    result(
      'container-agent',
      !ssh,
      ssh ? 'the caller\u2019s SSH agent is relayed by the tool' : 'no agent is relayed',
    ),
  ];
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
