/** A stand-in for the part of GitHub's REST API that the action speaks: comments of an issue, on 127.0.0.1. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Comment {
  readonly id: number;
  body: string;
  readonly user: { readonly type: string };
}

export interface FakeApi {
  readonly url: string;
  bodies(): readonly string[];
  authorizations(): readonly string[];
  /** `METHOD path` of each request. */
  requests(): readonly string[];
  plant(comment: Omit<Comment, 'id'>): void;
  clear(): void;
  /** From now on every request is answered so; null: as it should be. */
  answer(status: number | null): void;
  redirect(location: string | null): void;
  close(): Promise<void>;
}

export async function createApi(): Promise<FakeApi> {
  const comments: Comment[] = [];
  const authorizations: string[] = [];
  const requests: string[] = [];
  let last = 0;
  let status: number | null = null;
  let location: string | null = null;
  const plant = (comment: Omit<Comment, 'id'>): Comment => {
    last += 1;
    const made = { ...comment, id: last };
    comments.push(made);
    return made;
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? '/', 'http://api.test');
    authorizations.push(request.headers.authorization ?? '');
    requests.push(`${request.method} ${url.pathname}`);
    const reply = (code: number, value?: unknown) => {
      response.writeHead(code, location === null ? {} : { location });
      response.end(value === undefined ? '' : JSON.stringify(value));
    };
    if (location !== null) return reply(302);
    if (status !== null) return reply(status, { message: 'Resource not accessible by integration' });
    const body =
      chunks.length === 0 ? '' : (JSON.parse(Buffer.concat(chunks).toString()) as { body: string }).body;
    if (body.length > 65_536) return reply(422, { message: 'Body is too long' });
    const [, id] = /\/issues\/comments\/(\d+)$/.exec(url.pathname) ?? [];
    const known = comments.find((comment) => comment.id === Number(id));
    if (/\/issues\/\d+\/comments$/.test(url.pathname) && request.method === 'GET') {
      const page = Number(url.searchParams.get('page') ?? 1);
      const size = Number(url.searchParams.get('per_page') ?? 30);
      return reply(200, comments.slice((page - 1) * size, page * size));
    }
    if (/\/issues\/\d+\/comments$/.test(url.pathname) && request.method === 'POST')
      return reply(201, plant({ body, user: { type: 'Bot' } }));
    if (known === undefined) return reply(404, { message: 'Not Found' });
    if (request.method === 'PATCH') {
      known.body = body;
      return reply(200, known);
    }
    comments.splice(comments.indexOf(known), 1);
    return reply(204);
  };
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies: () => comments.map(({ body }) => body),
    authorizations: () => authorizations,
    requests: () => requests,
    plant: (comment) => void plant(comment),
    clear: () => void comments.splice(0),
    answer: (next) => {
      status = next;
    },
    redirect: (next) => {
      location = next;
    },
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
