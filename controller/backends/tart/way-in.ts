/**
 * The way in to published ports of a guest: through its cable, and where its server listens on loopback alone, by a command in
 * the guest that dials it there. What is published is decided by who asks.
 */
import type { Dial } from '../../links/dial.ts';
import { createWayIn, type DialProcess } from '../../links/relay/way-in.ts';
import { startGuestProcess } from '../../process/runner.ts';
import { planExec } from './argv.ts';
import { TOOL, tartEnvironment } from './tool.ts';

/**
 * Says in a byte whether there is a connection, then carries it on the standard streams, in two processes so that neither way
 * waits for the other. macOS and small Linux systems have no other program that ends one half. It ends with the server's
 * half: the tool tells of the end of an output by its own end alone.
 */
const DIAL_PROGRAM = `use strict;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
my ($port, $server) = @ARGV;
for ([AF_INET, scalar pack_sockaddr_in($port, INADDR_LOOPBACK)], [AF_INET6, pack_sockaddr_in6($port, inet_pton(AF_INET6, "::1"))]) {
  socket(my $own, $$_[0], SOCK_STREAM, 0) or next;
  if (connect($own, $$_[1])) { $server = $own; last }
}
sub pass {
  my ($from, $to) = @_;
  while (sysread($from, my $bytes, 65536)) {
    while (length $bytes) { substr($bytes, 0, syswrite($to, $bytes) || return, "") }
  }
}
if (!$server) { syswrite(STDOUT, "\\0nobody listens there"); exit 1 }
syswrite(STDOUT, "\\1");
defined(my $child = fork) or exit 1;
if (!$child) { close STDOUT; close STDERR; pass(*STDIN, $server); shutdown($server, 1); exit }
pass($server, *STDOUT);
kill "TERM", $child;
`;

export function dialWords(port: number): readonly string[] {
  return ['/usr/bin/perl', '-e', DIAL_PROGRAM, `${port}`];
}

export function openWayIn(byCable: Dial, machine: string, ports: readonly number[]): Dial {
  const byAgent = createWayIn(ports, (port) => startDialling(machine, port));
  return async (port) => {
    const first = await byCable(port);
    if (first.ok) return first;
    const second = await byAgent(port);
    return second.ok ? second : first;
  };
}

async function startDialling(name: string, port: number): Promise<DialProcess> {
  const args = planExec({ name, interactive: true, terminal: false, command: dialWords(port) });
  const started = await startGuestProcess(TOOL, args, {
    environment: tartEnvironment(),
    stdio: ['input', 'pipe', 'ignore'],
    descriptors: [],
    sharesSession: false,
    takesGroup: true,
  });
  const output = started.outputs.get(1);
  if (output === undefined) throw new Error('the dialling command has no output');
  return {
    output,
    write: (chunk, done) => started.pass(0, chunk, done),
    finish: () => started.finish(0, ''),
    kill: () => started.kill('SIGKILL'),
  };
}
