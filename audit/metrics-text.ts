/** Samples as Prometheus' text, exposition format 0.0.4. Decides how a value and a label that a guest chose are written. Pure. */
import type { Histogram, Labels, MetricFamily } from './metrics.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** One family after another; those without a sample are left out. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return families.map(formatFamily).join('');
}

function formatFamily({ name, help, type, samples, histogram }: MetricFamily): string {
  const lines =
    histogram === undefined
      ? samples.map((sample) => line(name, sample.labels, sample.value))
      : formatHistogram(name, histogram);
  if (lines.length === 0) return '';
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function formatHistogram(name: string, { buckets, sum, count }: Histogram): readonly string[] {
  return [
    ...buckets.map((bucket) => line(`${name}_bucket`, { le: String(bucket.le) }, bucket.count)),
    line(`${name}_bucket`, { le: '+Inf' }, count),
    line(`${name}_sum`, {}, sum),
    line(`${name}_count`, {}, count),
  ];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

/** The format escapes three characters; what a terminal would obey, or nobody sees, is no part of a name and replaced. */
function escapeLabel(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd')
    .replace(/[\\"]/g, '\\$&');
}
