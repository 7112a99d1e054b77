/**
 * What the page of `sand audit ui` can be asked for, once `access.ts` has let a request in: the page of a run, the runs,
 * a run's feed, a proposal, and its writing. Whatever else is asked for is not there.
 */
import { access } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isRunId, type RunPlace, runPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { isRunAlive } from '../run/run-state.ts';
import { answer, answerJson, answerPieces, answerText, readObject } from './answers.ts';
import { UI_ACTIONS } from './event-change.ts';
import { UI_LIMITS } from './limits.ts';
import { feedRun } from './live-feed.ts';
import type { ProposalRequest, Proposals } from './proposals.ts';
import { listedRuns } from './run-list.ts';
import type { PageMaker } from './run-page.ts';

export interface RoutesOptions {
  /** The folder of the runs. */
  readonly root: string;
  /** The run that the page opens with; null: there is none yet. */
  readonly first: () => Promise<RunPlace | null>;
  readonly pages: PageMaker;
  readonly proposals: Proposals;
  /** What everything is below, and what the page sends to write. */
  readonly place: string;
  readonly csrf: string;
  readonly nowMs: () => number;
  /** Aborted when the server ends. */
  readonly closing: AbortSignal;
}

export interface Asked {
  readonly method: 'GET' | 'POST';
  /** Below the session's place. */
  readonly path: string;
  readonly query: string;
}

const RUN = '([0-9a-z-]{1,40})';
const RUN_PAGE = new RegExp(`^/runs/${RUN}$`);
const RUN_FEED = new RegExp(`^/api/runs/${RUN}/events$`);
const APPLY = /^\/api\/proposals\/([A-Za-z0-9_-]{1,32})\/apply$/;

/** Where there is no run yet: it looks again by itself. */
const NO_RUN =
  '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="2"><title>sand audit</title><p>No runs yet. This page looks again every other second; start one with <code>sand run</code>.</p></html>\n';

export class Routes {
  readonly #options: RoutesOptions;
  #followers = 0;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  async serve(asked: Asked, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await (asked.method === 'POST'
        ? this.#write(asked.path, request, response)
        : this.#read(asked, request, response));
    } catch (error) {
      if (response.headersSent) response.destroy();
      else this.#explain(error, response);
    }
  }

  async #read(asked: Asked, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path, query } = asked;
    if (path === '/') return this.#index(response);
    if (path === '/api/runs')
      return answerJson(response, 200, { runs: await listedRuns(this.#options.root) });
    const page = this.#runIn(RUN_PAGE, path);
    if (page !== null) return this.#page(page, response);
    const feed = this.#runIn(RUN_FEED, path);
    if (feed !== null) return this.#feed(feed, query, request, response);
    answerText(response, 404, 'there is nothing here');
  }

  async #write(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { proposals } = this.#options;
    const applied = APPLY.exec(path)?.[1];
    if (applied === undefined && path !== '/api/proposals')
      return answerText(response, 404, 'there is nothing here');
    const body = await readObject(request);
    if (body === null) return answerText(response, 400, 'what was sent is no short JSON object');
    if (applied !== undefined) return answerJson(response, 200, await proposals.apply(applied));
    const wanted = parseProposal(body, this.#options.root);
    if (wanted === null) return answerText(response, 400, 'what was sent names no event and action');
    answerJson(response, 200, await proposals.propose(wanted));
  }

  async #index(response: ServerResponse): Promise<void> {
    const { first, place } = this.#options;
    const run = await first();
    if (run === null) return answer(response, 200, { 'content-type': 'text/html; charset=utf-8' }, NO_RUN);
    answer(response, 303, { location: `${place}/runs/${run.id}` }, '');
  }

  async #page(run: RunPlace, response: ServerResponse): Promise<void> {
    const { pages, place, csrf } = this.#options;
    await access(run.auditPath);
    const { policy, html } = await pages.make(run, { api: `${place}/api`, csrf });
    const fields = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy };
    await answerPieces(response, fields, html);
  }

  async #feed(
    run: RunPlace,
    query: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    // A page that comes back says what it had last; that counts more than where it began.
    const after = parseSeq(request.headers['last-event-id']) ?? parseSeq(/^after=(\d+)$/.exec(query)?.[1]);
    if (after === null) return answerText(response, 400, 'a feed begins after a line: ?after=0');
    await access(run.auditPath);
    if (this.#followers >= UI_LIMITS.followers)
      return answerText(response, 503, 'too many pages follow a run: close some');
    this.#followers += 1;
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const heartbeat = setInterval(() => {
      if (response.headersSent && !response.writableNeedDrain) response.write(': sand is here\n\n');
    }, UI_LIMITS.heartbeatMs);
    try {
      const { nowMs, closing } = this.#options;
      const signal = AbortSignal.any([gone.signal, closing]);
      const feed = feedRun({ run, after, alive: () => isAliveOrUnknown(run), nowMs, signal });
      const fields = { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' };
      await answerPieces(response, fields, feed);
    } finally {
      clearInterval(heartbeat);
      this.#followers -= 1;
    }
  }

  #runIn(pattern: RegExp, path: string): RunPlace | null {
    const id = pattern.exec(path)?.[1];
    return id !== undefined && isRunId(id) ? runPlace(this.#options.root, id) : null;
  }

  /** What sand knows of goes to the page in its own words; of a fault, nothing. */
  #explain(error: unknown, response: ServerResponse): void {
    const isMissing = error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';
    if (error instanceof SandError) {
      const { code, message, hint } = error;
      answerJson(response, 409, { error: { code, message, hint } });
    } else if (isMissing) answerText(response, 404, 'there is no such run');
    else answerText(response, 500, 'a fault in sand');
  }
}

/** A state that does not read says nothing; then the seal alone ends the following. */
function isAliveOrUnknown(run: RunPlace): boolean {
  try {
    return isRunAlive(run);
  } catch {
    return true;
  }
}

function parseSeq(text: string | readonly string[] | undefined): number | null {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Null for everything that is not exactly one. */
function parseProposal(body: Readonly<Record<string, unknown>>, root: string): ProposalRequest | null {
  const { run, seq, action, ...rest } = body;
  const known = UI_ACTIONS.find((one) => one === action);
  const isSeq = typeof seq === 'number' && Number.isSafeInteger(seq) && seq > 0;
  if (
    Object.keys(rest).length > 0 ||
    typeof run !== 'string' ||
    !isRunId(run) ||
    !isSeq ||
    known === undefined
  )
    return null;
  return { run: runPlace(root, run), seq, action: known };
}
