/**
 * The checks of this machine that are no backend's own, in the order in which they are told. Each is guarded;
 * what it looks at is in its own file.
 */
import { readFileSync } from 'node:fs';
import { auditRoot } from '../../audit/runs.ts';
import type { Finding } from '../backends/backend.ts';
import { checkCeiling } from './ceiling.ts';
import { checkCertificates } from './certificates.ts';
import { judgeClock } from './clock.ts';
import { checkDnsPort } from './dns-port.ts';
import { guardCheck } from './finding.ts';
import { checkLogDirectory } from './log-directory.ts';
import { checkLoopbackPort } from './loopback-port.ts';
import { judgeNode } from './node-version.ts';
import { type Install, planInstall } from './packages.ts';
import { checkResolvers, type ResolverWorld } from './resolvers.ts';

/** A file system that hangs (a dead network mount) must not hang the doctor. */
const CHECK_TIMEOUT_MS = 10_000;

/** What everything else stands on; told first. */
export function checkRuntime(): Promise<readonly Finding[]> {
  return guardCheck('Node', CHECK_TIMEOUT_MS, () => [judgeNode(process.versions.node)]);
}

/** Never rejects. */
export async function checkHost(resolvers?: ResolverWorld): Promise<readonly Finding[]> {
  const guard = (check: string, run: () => Promise<readonly Finding[]> | readonly Finding[]) =>
    guardCheck(check, CHECK_TIMEOUT_MS, run);
  const findings = await Promise.all([
    guard('resolvers', () => checkResolvers(resolvers)),
    guard('port 53', () => [checkDnsPort()]),
    guard('loopback port', async () => [await checkLoopbackPort()]),
    guard('log directory', () => checkLogDirectory(auditRoot(process.env), process.getuid?.() ?? 0)),
    guard('ceiling', () => [checkCeiling()]),
    guard('clock', () => [judgeClock(Date.now())]),
    guard('certificates', () => [checkCertificates(systemInstall())]),
  ]);
  return findings.flat();
}

function systemInstall(): Install {
  return planInstall(readOsRelease(), process.getuid?.() === 0);
}

function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}
