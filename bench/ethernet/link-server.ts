/** The ethernet link as a supervisor has it, without a gateway: every stream of the guest is joined to one origin on loopback. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createStreamCable } from '../../controller/links/ethernet/cable.ts';
import { createEthernetLink } from '../../controller/links/ethernet/link.ts';
import { serveTasks, settingsOf } from '../program.ts';

export interface LinkSettings {
  /** Where the cable is taken. */
  readonly path: string;
  readonly originPort: number;
}

const { path, originPort } = settingsOf<LinkSettings>();
const server = createServer().listen(path);
await once(server, 'listening');
server.once('connection', (cable: Socket) => {
  createEthernetLink({
    cable: createStreamCable(cable),
    ports: [originPort],
    consumer: {
      stream(guest) {
        const origin = connect({ port: originPort, host: '127.0.0.1' });
        const end = () => {
          guest.destroy();
          origin.destroy();
        };
        for (const one of [guest, origin]) one.on('error', end).on('close', end);
        guest.pipe(origin).pipe(guest);
      },
      datagram: () => {},
      lost: () => process.exit(1),
    },
  });
});
serveTasks({}, async () => ({}));
