import type { RedisOptions } from 'ioredis';

/** Where Redis is, and as whom to speak to it: the part of ioredis' options that a URL can say. */
export type RedisLocation = Pick<
  RedisOptions,
  'host' | 'port' | 'username' | 'password' | 'db' | 'tls' | 'sentinels' | 'name'
>;

const SENTINEL_URL = /^redis-sentinel:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/@]+)\/([^/?]+)(?:\/(\d{1,3}))?$/;
const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/;

/** Parses the three forms of `REDIS_URL`. Returns undefined for anything else. */
export function parseRedisUrl(value: string): RedisLocation | undefined {
  if (!isPercentEncoded(value)) return undefined;
  const sentinel = SENTINEL_URL.exec(value);
  if (sentinel) {
    const [, username, password, hosts = '', name = '', db] = sentinel;
    const sentinels = hosts.split(',').map(host => {
      const [, hostname, port] = HOST_PORT.exec(host) ?? [];
      return { host: hostname?.replace(/[[\]]/g, ''), port: Number(port ?? 26_379) };
    });
    if (sentinels.some(({ host, port }) => host === undefined || port > 65_535)) return undefined;
    return {
      sentinels: sentinels as { host: string; port: number }[],
      name: decodeURIComponent(name),
      ...credentials(username, password),
      ...(db ? { db: Number(db) } : {}),
    };
  }
  if (!URL.canParse(value)) return undefined;
  const url = new URL(value);
  const db = /^\/?(\d{0,3})$/.exec(url.pathname)?.[1];
  if (!/^rediss?:$/.test(url.protocol) || url.hostname === '' || db === undefined) return undefined;
  return {
    host: url.hostname.replace(/[[\]]/g, ''),
    port: Number(url.port || 6379),
    ...credentials(url.username, url.password),
    ...(db ? { db: Number(db) } : {}),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

function isPercentEncoded(value: string): boolean {
  try {
    decodeURIComponent(value);
    return true;
  } catch {
    return false;
  }
}

function credentials(username: string | undefined, password: string | undefined) {
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  };
}
