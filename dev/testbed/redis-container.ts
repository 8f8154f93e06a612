import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { ContainerRuntimeClient } from 'testcontainers';
import { freePort } from './free-port.ts';
import { lifeline } from './lifeline.ts';
import { untilRedisReady } from './redis-ready.ts';
import { serverFlags } from './redis-server.ts';
import type { ControllableRedis, Note, ServerSettings } from './test-redis.ts';

export const REDIS_IMAGE = 'redis:8-alpine';

const REDIS_PORT = '6379/tcp';
const DAEMON_WITHIN_MS = 2000;
const PULL_WITHIN_MS = 60_000;
const LOG_TAIL_LINES = 10;

/**
 * Starts Redis in a container that does not outlive this process, however it ends. Throws where no Docker daemon
 * answers within 2 s, where the image is neither there nor can be pulled within a minute, or where Redis does not come
 * up, with the end of its log.
 *
 * This uses the runtime client of testcontainers, not its `GenericContainer`: that one publishes ports on every
 * interface of the machine, here a Redis without a password, and has the container cleaned up by another one, whose
 * image has to be pulled too and is given Docker's socket.
 */
export async function startRedisContainer(settings: ServerSettings, note: Note): Promise<ControllableRedis> {
  const client = await connectToDocker();
  await ensureImage(client, note);

  const { host } = client.info.containerRuntime;
  const isLocal = host === 'localhost';
  // Chosen here, since Docker would choose another one when the container is started again.
  const port = await freePort();
  const url = `redis://${isLocal ? '127.0.0.1' : host}:${port}`;

  await using stack = new AsyncDisposableStack();
  const container = await client.container.create({
    Image: REDIS_IMAGE,
    Cmd: ['redis-server', ...listenFlags(), ...serverFlags(settings)],
    // Without a terminal Docker frames each line of the log.
    Tty: true,
    ExposedPorts: { [REDIS_PORT]: {} },
    HostConfig: {
      PortBindings: { [REDIS_PORT]: [{ HostIp: isLocal ? '127.0.0.1' : '', HostPort: `${port}` }] },
    },
  });
  stack.use(lifeline(process.execPath, join(import.meta.dirname, 'remove-container.ts'), container.id));
  stack.defer(() => container.remove({ force: true, v: true }));

  const state = async () => (await container.inspect()).State;
  const start = async () => {
    await container.start();
    const ready = new AbortController();
    // Aborted, since the request would otherwise be open for as long as the container runs.
    const ended = container.wait({ abortSignal: ready.signal });
    const log = async () => `${await container.logs({ stdout: true, stderr: true, tail: LOG_TAIL_LINES })}`;
    try {
      await untilRedisReady({ url, ended, log });
    } finally {
      ready.abort();
    }
  };
  await start();

  const acquired = stack.move();
  return {
    url,
    env: { REDIS_URL: url },
    origin: 'testcontainers',
    control: {
      pause: async () => {
        if (!(await state()).Paused) await container.pause();
      },
      resume: async () => {
        if ((await state()).Paused) await container.unpause();
      },
      kill: async () => {
        if ((await state()).Running) await container.kill();
        await container.wait();
      },
      start,
    },
    [Symbol.asyncDispose]: () => acquired.disposeAsync(),
  };
}

/** In its network namespace Redis has to listen for what Docker forwards; only the port on the host is confined. */
function listenFlags(): readonly string[] {
  return ['--bind', '0.0.0.0', '--protected-mode', 'no'];
}

async function connectToDocker(): Promise<ContainerRuntimeClient> {
  // Imported when it is needed: it is large, and only a development dependency.
  const { getContainerRuntimeClient } = await import('testcontainers');
  return within(DAEMON_WITHIN_MS, getContainerRuntimeClient(), 'no Docker daemon answers');
}

async function ensureImage(client: ContainerRuntimeClient, note: Note): Promise<void> {
  const { ImageName } = await import('testcontainers');
  const image = ImageName.fromString(REDIS_IMAGE);
  if (await client.image.exists(image)) return;
  note(`Pulling ${REDIS_IMAGE}`);
  await within(PULL_WITHIN_MS, client.image.pull(image), `${REDIS_IMAGE} is not there and cannot be pulled`);
  // A pull that breaks off half-way is not reported as an error.
  if (!(await client.image.exists(image))) throw new Error(`the pull of ${REDIS_IMAGE} broke off`);
}

async function within<T>(milliseconds: number, promise: Promise<T>, failure: string): Promise<T> {
  const tooLate = after(milliseconds, undefined, { ref: false }).then(() => {
    throw new Error(`nothing within ${milliseconds / 1000} s`);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } catch (error) {
    throw new Error(`${failure} (${(error as Error).message})`, { cause: error });
  }
}
