/** Reads a file of certificate authorities that a guest is to trust. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SandError } from '../errors.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** PEM text with nothing in it but the certificates: what else stood in the file (a key) stays on the host. */
export function readAuthority(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code')) : '';
    throw invalid(`${path} cannot be read (${code})`);
  }
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw invalid(`${path} holds no certificate`);
  for (const certificate of certificates) {
    if (!isAuthority(certificate))
      throw invalid(`${path} holds a certificate that is no certificate authority`);
  }
  return `${certificates.join('\n')}\n`;
}

function isAuthority(certificate: string): boolean {
  try {
    return new X509Certificate(certificate).ca;
  } catch {
    return false;
  }
}

function invalid(message: string): SandError {
  return new SandError(
    'file-invalid',
    `--trust-ca: ${message}`,
    'name a PEM file with the authority\u2019s own certificate',
  );
}
