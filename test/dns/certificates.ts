/** Certificates for tests of encrypted upstreams, made by openssl: an authority and what it signed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface Authority {
  /** PEM. */
  readonly cert: string;
  /** For these names: `DNS:dns.example`, `IP:127.0.0.1`. */
  sign(names: string, days?: number): Certificate;
  close(): void;
}

export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'sand-dns-ca-'));
  const openssl = (line: string): void => {
    execFileSync('openssl', line.split(' '), { cwd: folder, stdio: 'pipe' });
  };
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  openssl('ecparam -name prime256v1 -genkey -noout -out key.pem');
  openssl('req -x509 -new -key key.pem -subj /CN=authority-of-the-test -days 2 -out ca.pem');
  openssl('req -new -key key.pem -subj /CN=leaf-of-the-test -out leaf.csr');
  return {
    cert: read('ca.pem'),
    sign(names, days = 2) {
      writeFileSync(join(folder, 'names'), `subjectAltName=${names}\n`);
      openssl(`x509 -req -in leaf.csr -CA ca.pem -CAkey key.pem -days ${days} -extfile names -out leaf.pem`);
      return { key: read('key.pem'), cert: read('leaf.pem') };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
