/**
 * Who may ask the page of `sand audit ui` anything: a link that is good once, and the session that it is exchanged for.
 * Decides by the head of a request alone; what is asked for is `routes.ts`'s.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { UI_LIMITS } from './limits.ts';

/** What of a request decides. Header fields as Node gives them, lower-cased. */
export interface RequestHead {
  readonly method: string;
  /** As it stands on the wire. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** How many Host fields there are; Node keeps the first and says nothing. */
  readonly hosts: number;
}

export type Access =
  /** The session's own. `path` is below its place, and begins with `/`. */
  | { readonly kind: 'session'; readonly path: string; readonly query: string }
  /** The link, for the first time: answer with this cookie, and lead to `location`. */
  | { readonly kind: 'exchanged'; readonly cookie: string; readonly location: string }
  | {
      readonly kind: 'refused';
      readonly status: 400 | 401 | 403 | 404 | 405 | 421 | 429;
      readonly why: Refusal;
    };

export type Refusal =
  | 'bad-target'
  | 'foreign-host'
  | 'method'
  | 'foreign-site'
  | 'prefetch'
  | 'no-session'
  | 'wrong-token'
  | 'token-used'
  | 'too-many-guesses'
  | 'foreign-origin'
  | 'no-csrf';

/** For people; holds nothing of the request. */
export const REFUSALS: Readonly<Record<Refusal, string>> = {
  'bad-target': 'that is no path of this page',
  'foreign-host': 'this page answers to its own address alone',
  method: 'this page knows GET and POST alone',
  'foreign-site': 'another page has led here: open the link that sand printed by the address bar',
  prefetch: 'the link is good once, and is not for looking ahead',
  'no-session': 'open the link that sand printed; to get a fresh one, start sand audit ui again',
  'wrong-token': 'this link is not the one that sand printed',
  'token-used': 'this link was used already; to get a fresh one, start sand audit ui again',
  'too-many-guesses': 'too many wrong links: wait a minute',
  'foreign-origin': 'another page may change nothing here',
  'no-csrf': 'only the page itself may change something here',
};

export interface AccessOptions {
  readonly port: number;
  readonly nowMs: () => number;
  /** Told what a person should know of: the link is used again, or guessed. */
  readonly alarmed: (refusal: 'token-used' | 'too-many-guesses') => void;
}

const SECRET_BYTES = 32;
/** Keeps apart what stands beside it in a path, so that no service on another port is sent the cookie; guessing it gains nothing. */
const PLACE_BYTES = 12;

/** One link, one session. */
export class UiAccess {
  readonly #options: AccessOptions;
  readonly #token = createSecret();
  readonly #session = createSecret();
  readonly #csrf = createSecret();
  readonly #place = `/${randomBytes(PLACE_BYTES).toString('base64url')}`;
  #isUsed = false;
  #guesses: readonly number[] = [];

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#options.port}`;
  }

  /** What everything of the session is below, without a slash at its end. */
  get place(): string {
    return this.#place;
  }

  /** For the person alone. */
  link(): string {
    return `${this.origin}/?token=${this.#token.text}`;
  }

  /** For the session's pages alone; what writes has it in `x-sand-csrf`. */
  csrf(): string {
    return this.#csrf.text;
  }

  judge(head: RequestHead): Access {
    const { method, target, headers } = head;
    // Fail closed: a name that leads to 127.0.0.1 is not this page's address, whoever made it do so.
    if (head.hosts !== 1 || headers.host !== `127.0.0.1:${this.#options.port}`)
      return refuse(421, 'foreign-host');
    if (method !== 'GET' && method !== 'POST') return refuse(405, 'method');
    // Fail closed: ports do not part sites, so a guest's published port counts as this site, and is not this origin.
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return refuse(403, 'foreign-site');
    const [path = '', query = '', ...rest] = target.split('?');
    if (rest.length > 0 || !/^\/[A-Za-z0-9/_.-]*$/.test(path)) return refuse(400, 'bad-target');
    const token =
      path === '/' && method === 'GET' ? /^token=([A-Za-z0-9_-]{1,64})$/.exec(query)?.[1] : undefined;
    if (token !== undefined) return this.#exchange(token, headers);
    if (!this.#isInSession(headers.cookie)) return refuse(401, 'no-session');
    if (!path.startsWith(`${this.#place}/`)) return refuse(404, 'bad-target');
    if (method === 'POST') {
      if (headers.origin !== this.origin) return refuse(403, 'foreign-origin');
      if (!isSecret(this.#csrf, headers['x-sand-csrf'])) return refuse(403, 'no-csrf');
    }
    return { kind: 'session', path: path.slice(this.#place.length), query };
  }

  #exchange(token: string, headers: RequestHead['headers']): Access {
    // Looking ahead would use the link up before the person does.
    if (headers['sec-purpose'] !== undefined || headers.purpose !== undefined) return refuse(403, 'prefetch');
    const now = this.#options.nowMs();
    this.#guesses = this.#guesses.filter((at) => now - at < UI_LIMITS.guessWindowMs);
    if (this.#guesses.length >= UI_LIMITS.guesses) return refuse(429, 'too-many-guesses');
    if (!isSecret(this.#token, token)) {
      this.#guesses = [...this.#guesses, now];
      if (this.#guesses.length === UI_LIMITS.guesses) this.#options.alarmed('too-many-guesses');
      return refuse(403, 'wrong-token');
    }
    if (this.#isUsed) {
      this.#options.alarmed('token-used');
      return refuse(403, 'token-used');
    }
    this.#isUsed = true;
    const value = `${this.#cookieName}=${this.#session.text}`;
    return {
      kind: 'exchanged',
      cookie: `${value}; Path=${this.#place}/; HttpOnly; SameSite=Strict`,
      location: `${this.#place}/`,
    };
  }

  /** Cookies are parted by neither port nor scheme, so the name is. */
  get #cookieName(): string {
    return `sand-${this.#options.port}`;
  }

  #isInSession(cookie: string | readonly string[] | undefined): boolean {
    if (typeof cookie !== 'string') return false;
    const name = `${this.#cookieName}=`;
    const values = cookie
      .split('; ')
      .filter((one) => one.startsWith(name))
      .slice(0, UI_LIMITS.cookies)
      .map((one) => one.slice(name.length));
    // Of several, one may be another service's; each is looked at, so that none shadows ours.
    return values.map((value) => isSecret(this.#session, value)).includes(true);
  }
}

interface Secret {
  readonly text: string;
  readonly digest: Buffer;
}

function createSecret(): Secret {
  const text = randomBytes(SECRET_BYTES).toString('base64url');
  return { text, digest: digestOf(text) };
}

/** In the same time whatever stands in `text`, and however long it is. */
function isSecret({ digest }: Secret, text: unknown): boolean {
  return typeof text === 'string' && timingSafeEqual(digest, digestOf(text));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refuse(status: Extract<Access, { kind: 'refused' }>['status'], why: Refusal): Access {
  return { kind: 'refused', status, why };
}
