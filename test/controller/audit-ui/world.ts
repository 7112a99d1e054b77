/** A page server over runs of a test's own, without a browser and without the page's script. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEntry } from '../../../audit/event.ts';
import { auditRoot, type RunPlace, runPlace } from '../../../audit/runs.ts';
import type { Refusal } from '../../../controller/audit-ui/access.ts';
import { Proposals } from '../../../controller/audit-ui/proposals.ts';
import { createUiServer, type UiServer } from '../../../controller/audit-ui/server.ts';
import type { CompiledPolicy } from '../../../policies/model.ts';
import { linesOf } from '../../audit/samples.ts';

export const RUN = '20261121-201500-k3f9';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

export class UiWorld {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'audit-ui-')));
  readonly root = auditRoot({ XDG_STATE_HOME: join(this.folder, 'state') });
  readonly alarms: Refusal[] = [];
  readonly told: string[] = [];
  ceilings: readonly CompiledPolicy[] = [];
  nowMs = Date.parse('2026-11-21T20:15:00Z');
  proposals = new Proposals({
    root: this.root,
    cwd: this.folder,
    ceilings: () => this.ceilings,
    nowMs: () => this.nowMs,
    told: (text) => this.told.push(text),
  });
  #server: UiServer | null = null;

  async start(): Promise<void> {
    this.#server = await createUiServer({
      root: this.root,
      port: 0,
      nowMs: () => this.nowMs,
      first: async () => runPlace(this.root, RUN),
      pages: {
        make: async (run, live) => ({
          policy: "default-src 'none'",
          html: [`<p>${run.id} ${JSON.stringify(live)}</p>`],
        }),
      },
      proposals: this.proposals,
      alarmed: (refusal) => this.alarms.push(refusal),
    });
  }

  async end(): Promise<void> {
    await this.#server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get server(): UiServer {
    if (this.#server === null) throw new Error('it was not started');
    return this.#server;
  }

  run(entries: readonly AuditEntry[], id = RUN): RunPlace {
    const run = runPlace(this.root, id);
    mkdirSync(run.directory, { recursive: true, mode: 0o700 });
    writeFileSync(run.auditPath, `${linesOf(entries).join('\n')}\n`);
    return run;
  }

  /** As a script of the same address sends it; Host is right where `headers` does not say another. */
  ask(path: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Answer> {
    const { port } = this.server;
    return new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  /** Uses the link up. */
  async open(): Promise<Session> {
    const link = new URL(this.server.link);
    const { headers } = await this.ask(`${link.pathname}${link.search}`);
    const [cookie = ''] = (headers['set-cookie'] ?? [''])[0]?.split(';', 1) ?? [];
    const place = String(headers.location).replace(/\/$/, '');
    const { text } = await this.ask(`${place}/runs/${RUN}`, { headers: { cookie } });
    const csrf = /"csrf":"([^"]+)"/.exec(text)?.[1] ?? '';
    return { cookie, place, csrf, origin: `http://127.0.0.1:${this.server.port}` };
  }
}

export interface Session {
  readonly cookie: string;
  readonly place: string;
  readonly csrf: string;
  readonly origin: string;
}

/** The fields of a request that the page itself sends to write. */
export function writing({ cookie, csrf, origin }: Session): Record<string, string> {
  return { cookie, origin, 'x-sand-csrf': csrf, 'content-type': 'application/json' };
}
