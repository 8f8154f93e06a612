import type { Logger } from '@flux-dispatch/runtime/log';
import type { Redis } from 'ioredis';

/**
 * Warns, once Redis is there, about settings of it that would lose what it has been given, and names the fix.
 * A Redis that does not tell is not warned about.
 */
export function adviseOnRedis(redis: Redis, log: Logger): void {
  const advise = async () => {
    const info = `${await redis.info('memory')}\n${await redis.info('persistence')}`;
    const setting = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
    const policy = setting('maxmemory_policy');
    if (policy !== undefined && policy !== 'noeviction') {
      log.warn(
        { maxmemory_policy: policy },
        'Redis evicts keys when its memory is full, so accepted events can be lost. Set maxmemory-policy to noeviction',
      );
    }
    if (setting('aof_enabled') === '0') {
      log.warn(
        { appendonly: 'no' },
        'Redis has no append-only file: a restart forgets accepted events. Set appendonly yes, appendfsync everysec',
      );
    }
  };
  const once = () => advise().catch(err => log.debug({ err }, 'Redis does not tell its settings'));
  if (redis.status === 'ready') void once();
  else redis.once('ready', once);
}
