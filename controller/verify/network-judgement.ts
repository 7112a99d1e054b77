/** What a guest says of its own network and privileges → a verdict. Pure; what it tried by them is in `judgement.ts`. */
import { CABLE, formatIpv4 } from '../links/ethernet/addresses.ts';
import { strangeAddresses } from '../links/ethernet/guest-cards.ts';
import { LINK } from '../links/namespace/topology.ts';
import { judgeCapabilities } from '../links/relay/probe-verdicts.ts';
import type { RelayObservation } from '../links/relay/relay-program.ts';
import type { Grounds, Judged, Where } from './attack.ts';
import { held, open, untold } from './verdicts.ts';

/** The one card of a machine inside of the namespace link; what it sends comes out of the guest's own end of that link. */
const MACHINE_CARD = 'eth0';
/** Of macOS and Linux, by their names: interfaces that are no cards, and lead nowhere without an address. */
const NO_CARD =
  /^(lo|gif|stf|utun|awdl|llw|anpi|ap|bridge|p2p|sit|tunl|gre|gretap|erspan|ip6tnl|ip6gre|ip_vti|ip6_vti|dummy|docker)\d*$/;

export function judgeInterfaces(seen: readonly RelayObservation[], where: Where): Judged {
  const found = seen.flatMap((one) => (one.kind === 'interface' ? [one.text] : []));
  if (hasCard(where)) return judgeCards(found);
  const foreign = found.filter((name) => name !== 'lo' && name !== cardOf(where));
  if (foreign.length > 0) return open(`it has ${foreign.join(', ')}`);
  return found.length > 0
    ? held(`it has ${found.join(' and ')} alone`)
    : untold('the guest named none, not even loopback');
}

/** A machine's own, on a cable; on another network than the cable's it has an address that is strange. */
function hasCard({ link }: Where): boolean {
  return link !== 'relay' && link !== 'namespace';
}

function cardOf({ link, isolation }: Where): string | null {
  if (link === 'relay') return null;
  return isolation === 'vm' ? MACHINE_CARD : LINK.guestInterface;
}

/** Each with its addresses behind its name: one card has the cable's address, and nothing else has any that leads anywhere. */
function judgeCards(found: readonly string[]): Judged {
  const own = formatIpv4(CABLE.guest);
  const cards = found.map((text) => {
    const [name = '', ...addresses] = text.split(' ');
    return { name, addresses };
  });
  const strange = cards.flatMap((card) => strangeAddresses(card, own));
  const onCable = cards.filter(({ addresses }) => addresses.includes(own));
  const others = cards.filter((card) => !onCable.includes(card) && !NO_CARD.test(card.name));
  const wrong = [...strange, ...others.map(({ name }) => `another card: ${name}`)];
  if (wrong.length > 0) return open(wrong.join(', '));
  if (onCable.length !== 1) return untold(`${onCable.length} cards have ${own}`);
  return held(`${onCable[0]?.name} alone is a card, and on the cable`);
}

export function judgeRoutes(seen: readonly RelayObservation[], where: Where): Judged {
  const found = seen.flatMap((one) => (one.kind === 'route' ? [one.text] : []));
  if (hasCard(where)) return judgeGateways(found);
  const card = cardOf(where);
  const foreign = found.filter((route) => card === null || !route.endsWith(` dev ${card}`));
  if (foreign.length > 0) return open(foreign[0] ?? '');
  return held(card === null ? 'none but those to its own loopback' : 'every one ends at the gateway');
}

/** The next hop of each, where it has one: `link#4` and a station's address are none. */
function judgeGateways(found: readonly string[]): Judged {
  const routes = found.map((text) => ({ text, parts: /^[46] \S+ via (\S+) dev (\S+)$/.exec(text) }));
  const unread = routes.find(({ parts }) => parts === null);
  if (unread !== undefined) return untold(`a route that does not read: ${unread.text}`);
  const foreign = routes.find(({ parts }) => !isKnownHop(parts?.[1] ?? '', parts?.[2] ?? ''));
  if (foreign !== undefined) return open(foreign.text);
  return found.length > 0 ? held('every one ends at the gateway') : untold('the guest named none');
}

function isKnownHop(hop: string, card: string): boolean {
  const isAddress =
    /^\d+(\.\d+){3}$/.test(hop) || (/:/.test(hop) && !/^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/.test(hop));
  if (!isAddress) return true;
  if (/^fe80:/.test(hop)) return NO_CARD.test(card);
  const known = [formatIpv4(CABLE.gateway), formatIpv4(CABLE.guest), '0.0.0.0', '127.0.0.1', '::', '::1'];
  return known.some((one) => one === hop);
}

export function judgePrivileges(
  seen: readonly RelayObservation[],
  { kernel }: Pick<Grounds, 'kernel'>,
): Judged {
  const { passed, detail } = judgeCapabilities(seen);
  if (!passed) return detail.includes('unknown') ? untold(detail) : open(detail);
  const status = (name: string) => seen.find((one) => one.kind === 'status' && one.name === name);
  const isFiltered = (name: string, value: string) => {
    const found = status(name);
    return found?.kind === 'status' && found.value === value;
  };
  if (kernel === 'host' && !(isFiltered('NoNewPrivs', '1') && isFiltered('Seccomp', '2')))
    return open('no filter of system calls, or new privileges');
  return held(kernel === 'host' ? 'none, and system calls are filtered' : 'none of those');
}
