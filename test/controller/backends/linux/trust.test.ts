import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { readAuthorityLists } from '../../../../controller/backends/linux/authority-lists.ts';
import { planTrust } from '../../../../controller/backends/linux/trust.ts';

const [system = '', added = ''] = rootCertificates;

describe('planTrust', () => {
  it('reads and mounts nothing where nothing is to be trusted', () => {
    const read = () => expect.unreachable('the host\u2019s lists are not needed');
    expect(planTrust([], read)).toEqual({ mounts: [], environment: {} });
  });

  it('covers the system\u2019s bundle and the JVMs\u2019 lists, for what reads no variable', () => {
    const lists = {
      system: { path: '/etc/ssl/bundle', text: system },
      java: ['/etc/java', '/opt/jdk/cacerts'],
    };
    const { mounts, environment } = planTrust([added], () => lists);
    const shown = new Map(
      mounts.map((mount) => (mount.kind === 'data' ? [mount.target, mount.content] : ['', ''])),
    );
    expect(shown.get('/etc/ssl/bundle')).toBe(shown.get(environment.SSL_CERT_FILE ?? ''));
    expect(shown.get('/opt/jdk/cacerts')).toBeInstanceOf(Buffer);
    expect(shown.get('/etc/java')).toEqual(shown.get('/run/sand/authorities.jks'));
  });
});

describe('readAuthorityLists', () => {
  it('finds the lists of JVMs in toolchains, by PATH and by JAVA_HOME, each once and by its real path', () => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'sand-jvms-')));
    const list = (name: string) => {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
      return path;
    };
    const managed = list('.sdkman/candidates/java/21/lib/security/cacerts');
    const old = list('shown/jdk8/jre/lib/security/cacerts');
    const named = list('shown/named/lib/security/cacerts');
    list('workspace/jdk/lib/security/cacerts');
    symlinkSync('21', join(root, '.sdkman/candidates/java/current'));
    list('shown/jdk8/bin/java');
    mkdirSync(join(root, 'bin'));
    symlinkSync(join(root, 'shown/jdk8/bin/java'), join(root, 'bin/java'));
    const host = { system: [{ path: join(root, 'shown'), link: null }], toolchains: [join(root, '.sdkman')] };
    const PATH = `relative:${root}/bin:${root}/workspace/jdk/bin`;
    const find = (JAVA_HOME: string) => readAuthorityLists(host, root, { PATH, JAVA_HOME }).java;
    expect(find(join(root, 'shown/named')).toSorted()).toEqual([managed, old, named].toSorted());
    // What a guest could write, or does not see, is never covered.
    expect(find(join(root, 'workspace/jdk'))).not.toContain(join(root, 'workspace/jdk/lib/security/cacerts'));
    rmSync(root, { recursive: true });
  });
});
