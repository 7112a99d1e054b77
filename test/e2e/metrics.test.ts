/**
 * The counters of a real guest: at its control socket, on a port and a Unix socket; out of the guest's reach; and what a
 * collector's stand-in gets of it.
 */
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, plain, startCollector } from '../controller/telemetry/collector.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

const PORT = 19_464;
/** The owner of the policy means well: the guest may reach the host's port, which is sand's own. */
const POLICY = `version: 1
name: reaching
rules:
  - allow: host.sand
    tcp: [${PORT}]
`;
const CLIENT = `
curl -s http://denied.example/ >/dev/null
curl -s http://host.sand:${PORT}/metrics
curl -s --noproxy '*' --max-time 5 http://host.sand:${PORT}/metrics
env | grep -c 'OTEL\\|TRACEPARENT'
`;

async function scrape(place: { readonly socketPath: string } | { readonly port: number }): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ host: '127.0.0.1', path: '/metrics', ...place }, (response) => resolve(readText(response)))
    .on('error', reject)
    .end();
  return promise;
}

describe.each(CALLERS)('metrics, as %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
    world.file('reaching.yaml', POLICY);
    world.file('client.sh', CLIENT);
  });
  afterAll(() => world.remove());

  it('are served at a Unix socket and by the command, and agree with the log', async () => {
    const socketPath = join(world.root, 'state', 'm.sock');
    const started = await world.sand([
      'run',
      '-d',
      '--name',
      'm',
      '--policy',
      'strict',
      '--metrics',
      `unix:${socketPath}`,
    ]);
    expect(started.code, started.stderr).toBe(0);
    await world.sand(['exec', 'm', '--', 'curl', '-s', 'http://denied.example/']);
    const served = await scrape({ socketPath });
    expect(served).toContain('sand_denied_total{host="denied.example"} 1\n');
    expect(served).toContain('sand_commands_total 1\n');
    const asked = await world.sand(['metrics', 'm']);
    expect(asked.code).toBe(0);
    const series = (text: string) =>
      text.split('\n').filter((line) => !line.startsWith('sand_uptime_seconds'));
    expect(series(asked.stdout)).toEqual(series(served));
    const lines = Number(/^sand_audit_events_total (\d+)$/m.exec(served)?.[1]);
    expect(lines).toBe((await world.events()).length);
    await world.sand(['stop', 'm']);
    expect(existsSync(socketPath)).toBe(false);
    expect((await world.sand(['metrics', 'm'])).stderr).toContain('control-missing');
  });

  it('are no place that the guest sees, nor one on the network', async () => {
    for (const place of [`unix:${world.workspace}/m.sock`, '0.0.0.0:9464', '192.0.2.1:9464']) {
      const refused = await world.sand(['run', '--policy', 'strict', '--metrics', place, '--', 'true']);
      expect(refused.code, place).toBe(2);
    }
  });

  describe('and spans, at a collector', () => {
    let collector: Collector;
    beforeAll(async () => {
      collector = await startCollector();
    });
    afterAll(() => collector.close());

    it('are out of the reach of the guest, which gets none of the variables', async () => {
      const environment = {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=hunter2',
        TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      };
      const flags = ['--policy', './reaching.yaml', '--metrics', `127.0.0.1:${PORT}`];
      const run = await world.sand(['run', ...flags, '--', 'sh', 'client.sh'], { environment });
      expect(run.stdout).toContain('reason: loop');
      expect(run.stdout).not.toContain('sand_build_info');
      expect(run.stdout.trim().split('\n').at(-1)).toBe('0');
      const refused = (await world.events()).filter(
        (event) => event.kind === 'connection' && event.reason === 'loop',
      );
      expect(refused).toHaveLength(2);
    });

    it('arrive with what was decided', () => {
      expect(collector.faults).toEqual([]);
      const hosts = collector.spans
        .filter(({ kind }) => kind === 3)
        .map(({ attributes, status }) => [plain(attributes)['server.address'], status.code]);
      expect(hosts).toEqual(
        expect.arrayContaining([
          ['denied.example', 2],
          ['host.sand', 2],
        ]),
      );
      const run = collector.spans.find(({ name }) => name === 'sand run');
      expect(run?.traceId).toBe('0af7651916cd43dd8448eb211c80319c');
      expect(collector.metrics.map(({ name }) => name)).toContain('sand_decisions_total');
    });
  });

  it('never fail a run whose collector is not there', async () => {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
    const run = await world.sand(['run', '--policy', 'strict', '--', 'true'], { environment });
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/telemetry: 1 span was not exported/);
  });
});
