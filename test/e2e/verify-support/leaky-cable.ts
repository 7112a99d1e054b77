/**
 * A planted leak: a gateway of the tart backend that lets connections to one listener of this host's own through. Everything
 * else is as it is, the guest included. Prints the rows.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { GatewayPort, SandboxBackend } from '../../../controller/backends/backend.ts';
import { createTartBackend } from '../../../controller/backends/tart/backend.ts';
import { verifyConfinement } from '../../../controller/verify/verify.ts';

const backend = createTartBackend();
let open: { readonly address: string; readonly port: number } | null = null;

/** The attempts that the guest is given name every listener, by the address of the gateway. */
function firstNear(attempts: string): typeof open {
  const [, port] = /^as tcp-198-18-0-1-\d+ tcp 198\.18\.0\.1 (\d+)$/m.exec(attempts) ?? [];
  return port === undefined ? null : { address: '127.0.0.1', port: Number(port) };
}

function leaky(gateway: GatewayPort): GatewayPort {
  return new Proxy(gateway, {
    get(target, name) {
      if (name === 'ports') return [...target.ports, open?.port ?? 0];
      if (name !== 'acceptStream') return Reflect.get(target, name);
      const accept: GatewayPort['acceptStream'] = (socket, destination) => {
        if (destination.port !== open?.port) return target.acceptStream(socket, destination);
        const through = connect(open.port, open.address);
        through.on('error', () => socket.destroy());
        through.pipe(socket);
        socket.pipe(through);
      };
      return accept;
    },
  });
}

const launcher: SandboxBackend = {
  ...backend,
  create(spec) {
    const folder = spec.mounts.find(({ writable }) => !writable)?.source ?? '';
    open = firstNear(readFileSync(join(folder, 'attempts'), 'utf8'));
    return backend.create(spec);
  },
  start: (ref, gateway, signal) => backend.start(ref, leaky(gateway), signal),
};
const rows = await verifyConfinement({
  backend: 'tart',
  image: null,
  isolation: null,
  link: null,
  environ: process.env,
  launcher,
});
console.log(JSON.stringify(rows));
