/** A bound UDP socket as a resolver is given it, on which nobody is heard but one address. */
import type { Socket as DatagramSocket, RemoteInfo } from 'node:dgram';
import { EventEmitter } from 'node:events';

type Sent = (error: Error | null, bytes: number) => void;

export class SourcedDatagrams extends EventEmitter {
  readonly #socket: DatagramSocket;
  readonly #source: string;
  #isClosed = false;

  /** `stranger` is told of each datagram that is not heard. */
  constructor(socket: DatagramSocket, source: string, stranger: () => void) {
    super();
    this.#socket = socket;
    this.#source = source;
    socket.on('message', (message: Buffer, from: RemoteInfo) => {
      // Fail closed: who else is on that network has no business here.
      if (from.address !== source) return stranger();
      this.emit('message', message, from);
    });
    // What one datagram met does not end the resolver; nobody is told but who listens.
    socket.on('error', (error) => {
      if (this.listenerCount('error') > 0) this.emit('error', error);
    });
  }

  /** With what a resolver uses of one: `message`, `error` and `close`, `send` and `close`. */
  asDatagramSocket(): DatagramSocket {
    return this as unknown as DatagramSocket;
  }

  send(message: Buffer, port: number, address: string, done?: Sent): void {
    if (this.#isClosed || address !== this.#source) return void done?.(null, 0);
    this.#socket.send(message, port, address, done);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
    this.emit('close');
  }
}
