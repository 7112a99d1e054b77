/** Decides what of the host a container's machine is shown, and how its guest is put together in it. Pure. */
import { PLACES, type Share, sharesOf } from '../../../machine/plan.ts';
import type { GuestParts } from '../namespaces/plan.ts';
import { planGuest } from '../namespaces/plan.ts';

const WORK_FOLDER = '/guest';

export interface GuestFiles {
  readonly imageRoot: string;
  readonly layers: readonly string[];
  /** Those that are no sockets. */
  readonly binds: readonly { readonly source: string; readonly isReadOnly: boolean }[];
}

export function containerShares({ imageRoot, layers, binds }: GuestFiles): readonly Share[] {
  return sharesOf(imageRoot, [
    ...layers.map((source, at) => ({ name: layerName(at), source, isReadOnly: true })),
    ...binds.map(({ source, isReadOnly }, at) => ({ name: bindName(at), source, isReadOnly })),
  ]);
}

function layerName(at: number): string {
  return `layer${at}`;
}

function bindName(at: number): string {
  return `mount${at}`;
}

/** A guest's parts as its machine sees them. `socketNames` are the binds' sources that are sockets, in the order of their ports. */
export function planMachineGuest(
  parts: GuestParts,
  socketSources: readonly string[],
  isInteractive: boolean,
): readonly string[] {
  const files = parts.binds.filter(({ source }) => !socketSources.includes(source));
  const sourceOf = (bind: GuestParts['binds'][number]) => {
    const port = socketSources.indexOf(bind.source) + 1;
    return port > 0 ? `${PLACES.sockets}/${port}.sock` : `${PLACES.files}/${bindName(files.indexOf(bind))}`;
  };
  // The dot makes the kernel go into a share of its own, which it otherwise takes for the folder that it lies on.
  const seen: GuestParts = {
    ...parts,
    kernelLacks: parts.kernelLacks.filter((lack) => lack !== 'no-vsock'),
    hasNetworkOfItsOwn: false,
    workFolder: WORK_FOLDER,
    imageRoot: `${PLACES.system}/root/.`,
    layers: parts.layers.map((_, at) => `${PLACES.files}/${layerName(at)}/.`),
    // What the host enforces is said again, so that the guest's own tools see it.
    binds: parts.binds.map((bind) => ({ ...bind, source: sourceOf(bind) })),
  };
  return planGuest(seen, isInteractive);
}
