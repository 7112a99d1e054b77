/** A backend that makes nothing: it notes what it is asked, fails where it is told to, and runs a function as command. */
import type {
  ExitStatus,
  GatewayPort,
  GuestCommand,
  GuestSpec,
  Observation,
  SandboxBackend,
} from '../../../controller/backends/backend.ts';
import { SandError } from '../../../controller/errors.ts';

export type Step = 'create' | 'start' | 'inspect' | 'exec' | 'stop' | 'destroy';

export interface FakeBackend extends SandboxBackend {
  /** Steps as they were begun. */
  readonly steps: readonly Step[];
  readonly gateway: () => GatewayPort;
}

export interface FakeOptions {
  /** This step throws. */
  readonly failing?: Step | undefined;
  readonly confinement?: 'enforced' | 'cooperative';
  readonly observations?: readonly Observation[];
  /** Makes what the guest owns outside of its processes. */
  readonly create?: (spec: GuestSpec) => void;
  /** The start probes. */
  readonly confined?: () => Promise<void>;
  readonly start?: (gateway: GatewayPort, signal: AbortSignal) => Promise<void>;
  readonly exec?: (command: GuestCommand, gateway: GatewayPort) => Promise<ExitStatus>;
  readonly details?: Readonly<Record<string, string | number>>;
}

export function createFakeBackend(options: FakeOptions = {}): FakeBackend {
  const steps: Step[] = [];
  let port: GatewayPort | null = null;
  const begin = (step: Step) => {
    steps.push(step);
    if (options.failing === step)
      throw new SandError('tool-failed', `the test makes ${step} fail`, 'look at the test');
  };
  const gateway = () => {
    if (port === null) throw new Error('not started');
    return port;
  };
  return {
    name: 'fake',
    steps,
    gateway,
    capabilities: {
      guestSystem: 'linux',
      link: 'namespace',
      transparent: true,
      isolation: 'namespaces',
      confinement: options.confinement ?? 'enforced',
      terminal: true,
      processAttribution: [],
      publishedPorts: true,
      protection: 'held',
      screen: false,
      volumes: true,
    },
    probe: async () => [],
    async create(spec) {
      options.create?.(spec);
      begin('create');
      return { name: spec.name };
    },
    async start(ref, started, signal) {
      port = started;
      begin('start');
      await options.start?.(started, signal);
      const confined = options.confined?.() ?? Promise.resolve();
      confined.catch(() => {});
      return { name: ref.name, handle: {}, confined };
    },
    async inspect() {
      begin('inspect');
      return { running: true, details: options.details ?? {} };
    },
    async exec(_, command) {
      begin('exec');
      return (await options.exec?.(command, gateway())) ?? { code: 0 };
    },
    async stop() {
      begin('stop');
      return options.observations ?? [];
    },
    async destroy() {
      begin('destroy');
    },
    list: async () => [],
  };
}
