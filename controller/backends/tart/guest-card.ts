/** What differs between the links of a guest of Tart, as the steps of its start ask for it. Types only. */
import type { ProbeResult } from '../../../audit/event.ts';
import type { Dial } from '../../links/dial.ts';
import type { Inspection, Observation, RefusedDestination } from '../backend.ts';
import type { MachineCard } from './argv.ts';
import type { ResolverSetting, SystemProxy } from './guest-scripts.ts';

export const TART_LINKS = ['ethernet', 'softnet', 'nat'] as const;
export type TartLink = (typeof TART_LINKS)[number];

/** Between the start of a machine and its agent's first answer. */
export interface GuestCard {
  readonly card: MachineCard;
  /** Where sand's own softnet connects to; null: the machine has none of sand's. */
  readonly cableSocket: string | null;
  /** Once the machine has been started. */
  plug(): Promise<void>;
  /** Once the guest's agent answers. */
  reach(machine: string, signal: AbortSignal): Promise<GuestWay>;
  /** Ends everything of it on the host; idempotent. */
  close(): void;
}

/** How a guest comes to its gateway. */
export interface GuestWay {
  readonly proxy: SystemProxy;
  readonly resolver: ResolverSetting | null;
  /** For people who look at the guest. */
  readonly details: Inspection['details'];
  /** From the place of a command, before there is any; gives what was found, passed or not. */
  probe(): Promise<readonly ProbeResult[]>;
  /** The start probes have passed. */
  open(): void;
  openWayIn(ports: readonly number[]): Dial;
  /** What went nowhere, without the probes' own. */
  tried(): readonly RefusedDestination[];
  observations(): readonly Observation[];
}

/** As a client is told it. The parts of a credential are sand's own, without anything to escape. */
export function proxyUrl({ host, port, credential }: SystemProxy): string {
  const who = credential === undefined ? '' : `${credential.user}:${credential.password}@`;
  return `http://${who}${host}:${port}`;
}
