import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatHostBlock, type SshHost } from '../../../controller/ssh/client-config.ts';

const HOST: SshHost = {
  alias: 'sand-web',
  keyAlias: 'sand-20261128-120000-00ab',
  user: 'sand',
  identityPath: '/home/ada/my state/100%/user',
  knownHostsPath: '/home/ada/known_hosts',
  proxy: ['/usr/bin/node', "/opt/it's here/sand.js", 'ssh', '--stdio', 'web'],
};

describe('the Host block of a guest', () => {
  it('gives the server nothing but bytes, whatever a person has set for every host', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ssh-'));
    try {
      const path = join(folder, 'config');
      const mine =
        'Host *\n  ForwardAgent yes\n  ForwardX11 yes\n  StrictHostKeyChecking no\n  PermitLocalCommand yes\n';
      writeFileSync(path, `${formatHostBlock(HOST)}${mine}  PasswordAuthentication yes\n`, { mode: 0o600 });
      const read = execFileSync('ssh', ['-G', '-F', path, 'sand-web'], { encoding: 'utf8' }).split('\n');
      for (const line of [
        'forwardagent no',
        'forwardx11 no',
        'stricthostkeychecking true',
        'passwordauthentication no',
        'kbdinteractiveauthentication no',
        'permitlocalcommand no',
        'identityagent none',
        'updatehostkeys false',
        'userknownhostsfile /home/ada/known_hosts',
        'identityfile /home/ada/my state/100%%/user',
        'hostkeyalias sand-20261128-120000-00ab',
      ])
        expect(read).toContain(line);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
