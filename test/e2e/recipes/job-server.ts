/** A stand-in for the server that CI agents ask for jobs: long polls, actions to fetch, results to take. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from '../lifecycle/conditions.ts';

export interface Step {
  readonly run?: string;
  readonly uses?: string;
}

export interface StepResult {
  readonly code: number;
  readonly output: string;
}

export interface JobServer {
  readonly port: number;
  /** How often an agent has come up. */
  hellos(): number;
  /** Gives the job to the next agent that asks. */
  give(id: string, steps: readonly Step[]): void;
  result(id: string): Promise<readonly StepResult[]>;
  /** Both. */
  run(id: string, steps: readonly Step[]): Promise<readonly StepResult[]>;
  close(): void;
}

/** How long a poll without a job is held. */
const POLL_MS = 5_000;

/** On 127.0.0.1. An action is a program of Python, or JSON with `steps`. */
export async function createJobServer(actions: Readonly<Record<string, string>>): Promise<JobServer> {
  const waiting: ServerResponse[] = [];
  const jobs: string[] = [];
  const results = new Map<string, readonly StepResult[]>();
  let hellos = 0;
  const hand = () => {
    while (jobs.length > 0 && waiting.length > 0) {
      const poll = waiting.shift();
      if (poll?.writable) poll.end(jobs.shift());
    }
  };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const [, what = '', name = ''] = (request.url ?? '').split('/');
    if (what === 'next') {
      waiting.push(response);
      const drop = () => {
        if (waiting.includes(response)) waiting.splice(waiting.indexOf(response), 1);
      };
      response.on('close', drop);
      setTimeout(() => {
        drop();
        response.end();
      }, POLL_MS).unref();
      hand();
      return;
    }
    if (what === 'hello') hellos++;
    if (what === 'results') results.set(name, JSON.parse(body));
    response.end(what === 'actions' ? actions[name] : '');
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const give = (id: string, steps: readonly Step[]) => {
    jobs.push(JSON.stringify({ id, steps }));
    hand();
  };
  const result = (id: string) => until(`the result of ${id}`, () => results.get(id), 40_000);
  return {
    port: (server.address() as AddressInfo).port,
    hellos: () => hellos,
    give,
    result,
    run(id, steps) {
      give(id, steps);
      return result(id);
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
