/** Whether the bundle of certificate authorities is there, which a guest's TLS clients read from the host's /etc. */
import { statSync } from 'node:fs';
import type { Finding } from '../backends/backend.ts';
import { ok, warning } from './finding.ts';
import type { Install } from './packages.ts';

/** Where distributions keep the bundle: Debian and Arch, Fedora, SUSE, Alpine and macOS. */
const BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** `sizeOf` gives bytes; null where there is no such file. */
export function checkCertificates(
  install: Install,
  sizeOf: (path: string) => number | null = fileSize,
): Finding {
  const found = BUNDLES.find((path) => (sizeOf(path) ?? 0) > 0);
  if (found !== undefined) return ok('certificates', found);
  const message = 'no bundle of certificate authorities; TLS clients in a guest will trust nobody';
  return warning('certificates', message, install('ca-certificates'));
}

function fileSize(path: string): number | null {
  try {
    const seen = statSync(path);
    return seen.isFile() ? seen.size : null;
  } catch {
    return null;
  }
}
