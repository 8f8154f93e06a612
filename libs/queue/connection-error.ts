import type { RedisConfig } from './redis-config.ts';

const SYSTEM_CODES: ReadonlySet<unknown> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'],
]);
const BROKEN_CONNECTION =
  /^(Connection is closed|Socket timeout|Command timed out|Stream isn't writeable|All sentinels|connect ETIMEDOUT)/;
/** Replies with which Redis refuses a connection rather than a command. */
const REFUSED_CONNECTION = /^(WRONGPASS|NOAUTH)\b|DB index is out of range/;

/** Whether a command failed with its connection, which has a log line of its own. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, message } = error as NodeJS.ErrnoException;
  return SYSTEM_CODES.has(code) || BROKEN_CONNECTION.test(message) || REFUSED_CONNECTION.test(message);
}

/**
 * Why there is no connection and what to do about it, as the end of a sentence that begins with "REDIS_URL is set, but".
 * @param withinMs how long it was waited for, in milliseconds
 */
export function explainConnectionError(
  error: Pick<NodeJS.ErrnoException, 'code' | 'message'>,
  { REDIS_URL: location, REDIS_PASSWORD_PATH: passwordPath }: RedisConfig,
  withinMs?: number,
): string {
  const { code = '', message } = error;
  const { sentinels, host = '', port, name, db, tls } = location;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (message.startsWith('WRONGPASS')) {
    return `Redis at ${where} rejected the password of ${passwordPath ? 'REDIS_PASSWORD_PATH' : 'REDIS_URL'}`;
  }
  if (message.startsWith('NOAUTH')) {
    return `Redis at ${where} requires a password: put it into REDIS_URL, or into a file that REDIS_PASSWORD_PATH names`;
  }
  if (message.startsWith('READONLY')) return `Redis at ${where} is a read-only replica: name its primary`;
  if (message.includes('DB index is out of range')) return `Redis at ${where} has no database ${db}`;
  if (message.startsWith('All sentinels')) {
    const [, last = 'none of them knows that name'] = /Last error: (.+)$/.exec(message) ?? [];
    const asked = sentinels?.map(sentinel => `${sentinel.host}:${sentinel.port}`).join(', ');
    return `no sentinel says where the primary "${name}" is, asked: ${asked} (${last.replace(/\.$/, '')})`;
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the host name "${host}" does not resolve`;
  if (code === 'ECONNREFUSED') return `nothing listens on ${where}`;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return `${where} does not speak TLS: for a Redis without TLS write redis:// instead of rediss://`;
  }
  if (/CERT|ISSUER|ALTNAME/.test(code)) {
    return `the certificate of ${where} is not trusted (${message.split(';')[0]}): name its CA with REDIS_CA_PATH`;
  }
  if (message.startsWith('Unknown RESP type')) return `what answers on ${where} is not Redis`;
  if (code === 'ETIMEDOUT' || message.startsWith('Socket timeout')) {
    const hint = tls ? '. If it does not speak TLS, write redis:// instead of rediss://' : '';
    return `${sentinels ? 'Redis' : where} did not answer${withinMs ? ` within ${withinMs / 1000} s` : ''}${hint}`;
  }
  if (code === 'ECONNRESET' || code === 'EPIPE' || message === 'the connection was closed') {
    const hint = tls ? '' : '. If it expects TLS, write rediss:// instead of redis://';
    return `${where} closed the connection${hint}`;
  }
  return `Redis at ${where} cannot be used (${message || code})`;
}
