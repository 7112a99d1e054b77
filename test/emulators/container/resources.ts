/** How containers look in `ls` and `inspect`, by version. */
import type { Container } from './containers.ts';
import { referenceSeconds } from './output.ts';

const LIED_ATTACHMENT = {
  network: 'default',
  ipv4Address: '192.168.64.3/24',
  ipv4Gateway: '192.168.64.1',
  macAddress: 'f2:00:00:00:00:01',
  mtu: 1280,
  variant: 'reserved',
};

export function containerResource(container: Container, version: string): unknown {
  const { configuration, running, id } = container;
  const isLying = configuration.networks.length > 0 && running !== null;
  const networks = isLying ? [{ ...LIED_ATTACHMENT, hostname: id }] : [];
  const state = running === null ? 'stopped' : 'running';
  if (!version.startsWith('0.')) {
    return { id, configuration, status: { state, startedDate: running?.startedDate, networks } };
  }
  const creationDate = referenceSeconds(configuration.creationDate);
  const startedDate = running === null ? undefined : referenceSeconds(running.startedDate);
  return { status: state, configuration: { ...configuration, creationDate }, networks, startedDate };
}
