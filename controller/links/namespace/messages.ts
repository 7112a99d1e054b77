/** What the gateway's process says with the planter and the dialer over their IPC channels. Types only. */
import type { AskObservation, ConnectObservation, ProbePlan } from '../probing.ts';
import type { TriedDestination } from './topology.ts';

export type ToPlanter =
  /** Open listeners on these TCP ports (the fixed ones come at start by themselves) and hand them over. */
  | { readonly type: 'plant'; readonly ports: readonly number[] }
  /** Look from the guest's place; see `prober.ts`. */
  | { readonly type: 'probe'; readonly plan: ProbePlan }
  | { readonly type: 'tried' };

export type FromPlanter =
  /** The guest's namespace exists; its holder keeps it, and names it through /proc. */
  | { readonly type: 'ready'; readonly holderPid: number; readonly ipv6: boolean }
  /** Comes with a `net.Server` handle. */
  | { readonly type: 'stream'; readonly port: number }
  /** Comes with a `dgram.Socket` handle. */
  | { readonly type: 'datagram'; readonly port: number; readonly family: 'udp4' | 'udp6' }
  | { readonly type: 'planted'; readonly ports: readonly number[] }
  | { readonly type: 'probed'; readonly observations: ProbeObservations }
  | { readonly type: 'tried'; readonly tried: readonly TriedDestination[] }
  | { readonly type: 'failed'; readonly step: string; readonly detail: string };

export interface ProbeObservations {
  /** Interface names of the namespace. */
  readonly interfaces: readonly string[];
  /** `destination via gateway dev interface`, both families, `lo` and link-local left out. */
  readonly routes: readonly string[];
  /** Inode of the network namespace that was looked from. */
  readonly namespace: string;
  readonly connects: readonly ConnectObservation[];
  readonly asks: readonly AskObservation[];
}

/** What a dialer is started with. */
export interface DialerPlan {
  /** `net:[inode]` of the guest. */
  readonly namespace: string;
  /** Of the guest, that may be dialled. */
  readonly ports: readonly number[];
}

export interface ToDialer {
  readonly type: 'dial';
  readonly id: number;
  readonly port: number;
}

export type FromDialer =
  /** Comes with a `net.Socket` handle, unless the guest has reset the connection meanwhile. */
  | { readonly type: 'dialled'; readonly id: number }
  | { readonly type: 'refused'; readonly id: number; readonly detail: string };
