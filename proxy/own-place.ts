/** Whether a place is sand's own, where the system may not tell. What is, the gateway knows. */
import type { IpAddress } from '../policies/model.ts';
import type { ProxyContext } from './context.ts';

export type OwnPlace =
  | { readonly ok: true; readonly isOwn: boolean }
  | { readonly ok: false; readonly detail: string };

/** Which ports are sand's is partly in files, and reading those wants a descriptor as dialling does. Nobody may dial what is not told. */
export function readOwn(isOwn: ProxyContext['isOwn'], address: IpAddress, port: number): OwnPlace {
  try {
    return { ok: true, isOwn: isOwn(address, port) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, detail: `whether ${address} port ${port} is sand's own cannot be read: ${why}` };
  }
}
