/** Every bound of the vmnet link, with its reason. One guest owns one link, so each is per guest. */
export const VMNET_LIMITS = {
  /** Open connections at the proxy's port: twice what the proxy carries, which then tells who comes too many. */
  connections: 2048,
  /** Clients that have not shown their credential yet; a flood of them costs the flooder its oldest. */
  unproven: 256,
  /** A client says who it is in its first request, at once. */
  credentialMs: 10_000,
  /** Of that request's head: as the proxy has it. */
  headBytes: 64 * 1024,
  /** A port that is free for UDP and TCP alike is found at the first try, but for bad luck. */
  bindAttempts: 8,
  /** The way in: a server of the guest's, on the same machine. */
  dialMs: 10_000,
} as const;
