/**
 * A planted leak: a guest that is no guest, whose program runs on the host, with the host's network and files, as an ordinary
 * user. Run in namespaces of its own, so that nothing of what it sends gets anywhere. Prints the rows.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestSpec } from '../../../controller/backends/backend.ts';
import { verifyConfinement } from '../../../controller/verify/verify.ts';
import { createFakeBackend } from '../../controller/run/fake-backend.ts';

const [home = ''] = process.argv.slice(2);
const AS = ['--reuid=54321', '--regid=54321', '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
let spec: GuestSpec | null = null;
const launcher = createFakeBackend({
  create: (given) => {
    spec = given;
  },
  async exec(command) {
    const folder = spec?.mounts.find(({ writable }) => !writable)?.source ?? '';
    const workspace = spec?.mounts.find(({ writable }) => writable)?.source ?? '';
    const attempts = readFileSync(join(folder, 'attempts'), 'utf8').replaceAll(
      ' /sand-verify/',
      ` ${workspace}/`,
    );
    writeFileSync(join(home, 'attempts'), attempts);
    const child = spawn('setpriv', [...AS, join(folder, 'sand-relay'), 'probe', join(home, 'attempts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.on('data', (chunk: Buffer) => void command.output?.('stdout', chunk));
    await once(child, 'close');
    return { code: 0 };
  },
});
const environ = { HOME: home, XDG_STATE_HOME: join(home, 'state') };
console.log(
  JSON.stringify(
    await verifyConfinement({
      backend: 'linux',
      image: null,
      isolation: null,
      link: null,
      environ,
      launcher,
    }),
  ),
);
