/**
 * What a guest on one of the host's networks says of its lease, as a text for its own bash and what that printed. A guest can
 * say anything: what of it is true is for `links/vmnet/network.ts`. Pure.
 */
import type { ToldLease } from '../../links/vmnet/network.ts';

/** Fifths of a second that the guest's card gets for its lease: the agent can be there before it. */
const TURNS = 150;

/** Prints `lease ADDRESS ROUTER`, or nothing. */
export const LEASE_SCRIPT = [
  'exec 2>/dev/null </dev/null',
  'look() {',
  '  if [ "$(uname -s)" = Darwin ]; then',
  `    router=$(/sbin/route -n get default | awk '$1 == "gateway:" { print $2 }')`,
  `    card=$(/sbin/route -n get default | awk '$1 == "interface:" { print $2 }')`,
  '    address=$(ipconfig getifaddr "$card")',
  '  else',
  `    router=$(ip -4 route show default | sed -n 's/.* via \\([0-9.]*\\) .*/\\1/p' | head -n 1)`,
  `    card=$(ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)`,
  `    address=$(ip -4 -o addr show dev "$card" | sed -n 's/.* inet \\([0-9.]*\\).*/\\1/p' | head -n 1)`,
  '  fi',
  '  [ -n "$router" ] && [ -n "$address" ]',
  '}',
  'turn=0',
  `until look || [ $turn -ge ${TURNS} ]; do turn=$((turn + 1)); sleep 0.2; done`,
  'look && echo "lease $address $router"',
  '',
].join('\n');

/** Null where it does not read. */
export function parseLease(text: string): ToldLease | null {
  const [, address, router] = /^lease ([0-9.]{7,15}) ([0-9.]{7,15})\n?$/.exec(text) ?? [];
  return address === undefined || router === undefined ? null : { address, router };
}
