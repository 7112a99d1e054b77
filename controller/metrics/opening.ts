/** Opens what `--metrics` asks for; a run without it loads no server. */
import type { IpAddress } from '../../policies/model.ts';
import { formatMetricsPlace, type MetricsPlace } from './place.ts';

export interface ServedMetrics {
  /** Ports of the host that no guest may reach. */
  readonly listeners: readonly { readonly address: IpAddress; readonly port: number }[];
  close(): Promise<void>;
}

const NOWHERE: ServedMetrics = { listeners: [], close: async () => {} };

/** Raises `port-in-use` and `usage`. */
export async function openMetrics(
  { metrics, told }: { readonly metrics?: MetricsPlace; readonly told: (message: string) => void },
  text: () => string,
): Promise<ServedMetrics> {
  if (metrics === undefined) return NOWHERE;
  const { serveMetrics } = await import('./server.ts');
  const { place, close } = await serveMetrics(metrics, text);
  told(`metrics on ${formatMetricsPlace(place)}`);
  return { listeners: place.kind === 'port' ? [place] : [], close };
}
