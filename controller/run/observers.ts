/**
 * Who is told of each line of the log once it is written: the counters of the run, and a collector where the caller's
 * variables name one. What is counted and exported is decided elsewhere.
 */
import type { AuditEntry } from '../../audit/event.ts';
import { type LogFigures, Metrics } from '../../audit/metrics.ts';
import { formatMetrics } from '../../audit/metrics-text.ts';
import type { Telemetry } from '../telemetry/exporter.ts';
import { type Environ, readTelemetrySettings, wantsTelemetry } from '../telemetry/settings.ts';
import { VERSION } from '../version.ts';

export interface Observers {
  recorded(entry: AuditEntry): void;
  /** A line could not be written. */
  failed(): void;
  /** The counters now, as Prometheus reads them. */
  metricsText(): string;
  /** To be called when the log has ended. Gives what is to be told. Bounded in time, never rejects. */
  close(): Promise<readonly string[]>;
}

export async function createObservers(log: LogFigures, environ: Environ): Promise<Observers> {
  const metrics = new Metrics(performance.now(), { version: VERSION, node: process.version });
  const families = () => metrics.families(performance.now(), log);
  const telemetry = await openTelemetry(environ, families);
  return {
    recorded(entry) {
      metrics.add(entry);
      telemetry?.recorded(entry, Date.now());
    },
    failed: () => metrics.failed(),
    metricsText: () => formatMetrics(families()),
    close: async () => (await telemetry?.close()) ?? [],
  };
}

/** A start without the variables loads nothing of it. */
async function openTelemetry(
  environ: Environ,
  families: () => ReturnType<Metrics['families']>,
): Promise<Telemetry | null> {
  const settings = wantsTelemetry(environ) ? readTelemetrySettings(environ) : null;
  if (settings === null) return null;
  const { createTelemetry } = await import('../telemetry/exporter.ts');
  return createTelemetry({ settings, version: VERSION, families });
}
