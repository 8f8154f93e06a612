import { isUtf8 } from 'node:buffer';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Logger } from '@flux-dispatch/runtime/log';
import { reloadedSecret } from '@flux-dispatch/runtime/secret-file';
import { parse } from 'basic-auth';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { clientAddress, clientKey, isAmong, isLoopback, type Network } from './address.ts';
import type { BoardConfig } from './config.ts';
import { parsePassword } from './password.ts';
import type { Refusal } from './refusal.ts';

export type Authentication =
  | { readonly ok: true; readonly user: string }
  | ({ readonly ok: false } & Refusal);

/** The part of a request that says who sent it. */
export type Sender = Pick<IncomingMessage, 'headers' | 'headersDistinct'> & {
  readonly socket: { readonly remoteAddress?: string | undefined };
};

/** Finds out who sent a request, or why it is refused. */
export type Authenticate = (sender: Sender) => Promise<Authentication>;

export function createAuthenticate(config: BoardConfig, log: Logger): Authenticate {
  switch (config.BOARD_AUTH) {
    case 'basic': {
      const variable = 'BOARD_PASSWORD_PATH';
      const password = reloadedSecret({ variable, path: config[variable], parse: parsePassword, log });
      return basic(config.BOARD_USERNAME, password, config.BOARD_TRUSTED_PROXIES ?? [], log);
    }
    case 'proxy':
      return proxy(config.BOARD_PROXY_USER_HEADER, config.BOARD_TRUSTED_PROXIES);
    case 'none':
      return none;
    default:
      return config satisfies never;
  }
}

const TRIES = 10;
const SLOWED_S = 60;
// Clients share this many counters, so that no number of addresses takes up more memory. Which of them share one is
// different in every process: nobody can aim at the counter of somebody else.
const COUNTERS = 4096;

/**
 * A user name and a password, by HTTP Basic. After ten wrong tries within a minute a client is not even listened to for a
 * minute; whether it has the right password by then makes no difference.
 */
export function basic(
  username: string,
  password: () => Promise<string | undefined>,
  proxies: readonly Network[],
  log: Logger,
): Authenticate {
  const wrongTries = new RateLimiterMemory({ points: TRIES, duration: SLOWED_S, blockDuration: SLOWED_S });
  const salt = randomBytes(16);
  const counter = (client: string) =>
    createHash('sha256').update(salt).update(clientKey(client)).digest().readUInt16BE() % COUNTERS;

  return async request => {
    const given = parse(request.headers.authorization ?? '');
    if (given === undefined) return unauthenticated('sign in with the user name and password of this board');
    const expected = await password();
    const client = clientAddress(request, proxies);
    // From here to the count nothing else runs: tries that are made all at once are counted one by one, too.
    const nameFits = equal(given.name, username);
    const passwordFits = expected !== undefined && equal(given.pass, expected);
    const right = nameFits && passwordFits;
    const key = counter(client);
    const count = await (right ? wrongTries.get(key) : wrongTries.consume(key)).catch((error: unknown) => {
      if (error instanceof RateLimiterRes) return error;
      throw error;
    });
    const wrongSoFar = count?.consumedPoints ?? 0;
    if (right ? wrongSoFar >= TRIES : wrongSoFar > TRIES) {
      // The last of the tries has its line; those that are refused unseen would only fill the log.
      if (wrongSoFar === TRIES + 1 && !right)
        log.warn({ outcome: 'too_many_tries', client }, 'Sign-in slowed down');
      return tooManyTries(Math.max(1, Math.ceil((count?.msBeforeNext ?? 0) / 1000)));
    }
    if (right) return { ok: true, user: username };
    log.warn({ outcome: 'unauthenticated', client }, 'Sign-in refused');
    return unauthenticated('the user name or the password is wrong');
  };
}

/** Compares in a time that depends on neither. */
function equal(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function unauthenticated(message: string): Authentication {
  const headers = { 'WWW-Authenticate': 'Basic realm="flux-dispatch board", charset="UTF-8"' };
  return { ok: false, status: 401, outcome: 'unauthenticated', message, headers };
}

function tooManyTries(seconds: number): Authentication {
  const message = `too many wrong passwords from here: try again in ${seconds} s`;
  const headers = { 'Retry-After': String(seconds) };
  return { ok: false, status: 429, outcome: 'too_many_tries', message, headers };
}

const MAX_USER_LENGTH = 200;

/** The user that an authenticating proxy names in `header`. Nobody else's word counts. */
export function proxy(header: string, proxies: readonly Network[]): Authenticate {
  return async ({ socket, headersDistinct }) => {
    if (!isAmong(proxies, socket.remoteAddress ?? '')) {
      const message = 'this board is only open through its proxy (BOARD_TRUSTED_PROXIES)';
      return { ok: false, status: 403, outcome: 'untrusted_proxy', message };
    }
    // Twice is once from the proxy and once from somebody else.
    const [user = '', ...others] = headersDistinct[header] ?? [];
    if (user.trim() === '' || user.length > MAX_USER_LENGTH || others.length > 0) {
      const message = `the proxy did not name one user in ${header} (BOARD_PROXY_USER_HEADER)`;
      return { ok: false, status: 401, outcome: 'unauthenticated', message };
    }
    return { ok: true, user: decodeHeader(user).trim() };
  };
}

/** Node reads the bytes of a header as latin1, whatever they are. */
function decodeHeader(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}

/**
 * Whoever reaches the loopback address. The host must be a loopback one as well: a web page whose name resolves to
 * 127.0.0.1 (DNS rebinding) would have the operator's browser speak to the board as if it were its own server.
 */
export const none: Authenticate = async ({ headers }) => {
  const host = headers.host ?? '';
  const url = `http://${host}`;
  if (URL.canParse(url) && isLoopback(new URL(url).hostname.replace(/[[\]]/g, ''))) {
    return { ok: true, user: 'anonymous' };
  }
  const message = 'with BOARD_AUTH=none the board is only open as localhost or another loopback host';
  return { ok: false, status: 403, outcome: 'not_loopback', message };
};
