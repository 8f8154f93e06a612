import { setTimeout as after } from 'node:timers/promises';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import type { ControllableRedis, ServerSettings } from '@flux-dispatch/testbed/test-redis';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';

const NAME = 'flux-dispatch';
const REPLICAS = 2;
const SENTINELS = 3;
/** How many sentinels must find the primary gone before one of them promotes a replica. */
const MAJORITY = 2;
const WELL_WITHIN_MS = 30_000;
const ANSWER_WITHIN_MS = 1000;

// Sentinel's own are 30 s until a primary counts as gone, and 3 min until an election without a winner is held again.
// It pings every second, so that in much less than 2 s it would find a primary gone that is not.
const HASTE = ['down-after-milliseconds', '2000', 'failover-timeout', '3000'] as const;
// A replica that joins is otherwise kept waiting 5 s, for others that might want the same snapshot.
const SERVER: ServerSettings = { args: ['--repl-diskless-sync-delay', '0'] };
const SENTINEL: ServerSettings = { args: ['--sentinel'] };

/** A Redis with replicas and the sentinels that watch over it, all of them real and on loopback. */
export interface SentinelRedis extends AsyncDisposable {
  /** `redis-sentinel://…`, with every sentinel. */
  readonly url: string;
  /** In the order of the URL. */
  readonly sentinels: readonly ControllableRedis[];
  /** The server that most sentinels take for the primary. */
  primary(): Promise<ControllableRedis>;
  /** All other servers, whether they run or not. */
  replicas(): Promise<readonly ControllableRedis[]>;
  /**
   * Kills the primary, or has it stand still with its connections open, and what else is on its machine with it.
   * Resolves with the primary when a replica has taken its place: then it can be started or resumed, and rejoin.
   */
  failover(fault: 'kill' | 'pause', ...neighbours: readonly ControllableRedis[]): Promise<ControllableRedis>;
  /** Has a server that runs again follow the primary. Resolves when it is in sync. */
  follow(server: ControllableRedis): Promise<void>;
  /**
   * Has servers that run again follow the primary. Resolves when all replicas are in sync, and every sentinel knows them
   * and finds nothing wrong.
   */
  rejoin(...servers: readonly ControllableRedis[]): Promise<void>;
}

/**
 * Starts a primary, two replicas and three sentinels. They do not outlive this process.
 * @param path `PATH` of the environment, where `redis-server`, `valkey-server` and `apt-get` are looked for
 */
export async function startSentinelRedis(path: string | undefined): Promise<SentinelRedis> {
  await using stack = new AsyncDisposableStack();
  const start = async (settings: ServerSettings) =>
    stack.use(await acquireRedis({ ...settings, path, controllable: true, ways: ['PATH', 'apt-get'] }));

  // One before the others: the program may have to be installed first.
  const first = await start(SERVER);
  const others = await Promise.all(Array.from({ length: REPLICAS }, () => start(SERVER)));
  const sentinels = await Promise.all(Array.from({ length: SENTINELS }, () => start(SENTINEL)));
  const servers = [first, ...others];

  for (const replica of others) await replicate(replica, first);
  for (const sentinel of sentinels) {
    await ask(sentinel, async redis => {
      await redis.call('SENTINEL', 'MONITOR', NAME, ...address(first), MAJORITY);
      await redis.call('SENTINEL', 'SET', NAME, ...HASTE);
    });
  }

  const primary = async () => {
    const views = await Promise.all(sentinels.map(viewOf));
    const counts = servers.map(({ url }) => views.filter(view => view?.primaryUrl === url).length);
    const server = servers[counts.findIndex(count => count >= MAJORITY)];
    if (!server) throw new Error('The sentinels do not agree on a primary');
    return server;
  };
  const follow = async (server: ControllableRedis) => {
    // A server that comes back takes itself for a primary. Sentinel would tell it in 10 s; start scripts do at once.
    await replicate(server, await primary());
    const inSync = async () => (await replication(server)).includes('master_link_status:up');
    await until('the replica is in sync', inSync, WELL_WITHIN_MS);
  };
  const well = async () => {
    const views = await Promise.all(sentinels.map(viewOf));
    const current = await primary().catch(() => undefined);
    const info = current ? await replication(current) : '';
    const online = info.match(/state=online/g)?.length ?? 0;
    return views.every(view => view?.well) && info.includes('role:master') && online === REPLICAS;
  };
  const rejoin = async (...rejoining: readonly ControllableRedis[]) => {
    for (const server of rejoining) await follow(server);
    await until('all replicas are in sync and every sentinel finds all well', well, WELL_WITHIN_MS);
  };

  await rejoin();
  const started = stack.move();
  return {
    url: `redis-sentinel://${sentinels.map(sentinel => address(sentinel).join(':')).join()}/${NAME}`,
    sentinels,
    primary,
    async replicas() {
      const current = await primary();
      return servers.filter(server => server !== current);
    },
    async failover(fault, ...neighbours) {
      const old = await primary();
      await Promise.all([old, ...neighbours].map(({ control }) => control[fault]()));
      const promoted = async () => {
        const current = await primary().catch(() => old);
        return current !== old && (await replication(current)).includes('role:master');
      };
      await until('a replica is promoted', promoted, WELL_WITHIN_MS);
      return old;
    },
    ...{ follow, rejoin },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

interface View {
  readonly primaryUrl: string;
  /** Whether it knows all others and finds nothing wrong with any. */
  readonly well: boolean;
}

/** How a sentinel sees it. Undefined where the sentinel does not answer. */
async function viewOf(sentinel: ControllableRedis): Promise<View | undefined> {
  try {
    return await ask(sentinel, async redis => {
      const primary = properties(await redis.call('SENTINEL', 'MASTER', NAME));
      const replicas = ((await redis.call('SENTINEL', 'REPLICAS', NAME)) as unknown[]).map(properties);
      // Any other flag is an ailment, or a failover that is not over.
      const sound = primary['flags'] === 'master' && replicas.every(({ flags }) => flags === 'slave');
      const complete =
        replicas.length === REPLICAS && Number(primary['num-other-sentinels']) === SENTINELS - 1;
      return { primaryUrl: `redis://${primary['ip']}:${primary['port']}`, well: sound && complete };
    });
  } catch {
    return undefined;
  }
}

/** Sentinel's answers are names and values in turn. */
function properties(answer: unknown): Record<string, string> {
  const list = answer as string[];
  return Object.fromEntries(list.flatMap((name, n) => (n % 2 ? [] : [[name, list[n + 1] ?? '']])));
}

/** The section of its INFO. Empty where it does not answer. */
function replication(server: ControllableRedis): Promise<string> {
  return ask(server, redis => redis.info('replication')).catch(() => '');
}

async function replicate(replica: ControllableRedis, primary: ControllableRedis): Promise<void> {
  await ask(replica, redis => redis.call('REPLICAOF', ...address(primary)));
}

function address({ url }: ControllableRedis): [host: string, port: string] {
  const { hostname, port } = new URL(url);
  return [hostname, port];
}

/** @throws where it is not there, or does not answer in time */
async function ask<T>(server: ControllableRedis, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(server.url, { lazyConnect: true, retryStrategy: null });
  // What fails is what was asked.
  redis.on('error', () => {});
  try {
    const answer = redis.connect().then(() => question(redis));
    const late = after(ANSWER_WITHIN_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${server.url} does not answer`);
    });
    return await Promise.race([answer, late]);
  } finally {
    redis.disconnect();
  }
}
