import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fault that is put into the sources, to see whether the simulation finds it. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the identity of a failure holds its message',
    file: 'libs/routing/identity.ts',
    find: "return [revision?.digest ?? revision?.text ?? ''];",
    replace: "return [revision?.digest ?? revision?.text ?? '', firstLine(event.message)];",
  },
  {
    name: 'the identity of a success does not hold the uid',
    file: 'libs/routing/identity.ts',
    find: 'const { uid } = event.involvedObject;',
    replace: "const uid = '';",
  },
  {
    name: 'the identity does not hold the cluster',
    file: 'libs/routing/identity.ts',
    find: 'return [cluster, product,',
    replace: 'return [product,',
  },
  {
    name: 'only its claim remembers what was delivered',
    file: 'libs/queue/settle.lua',
    find: "if ARGV[6] == '1' then",
    replace: "if ARGV[6] == 'never' then",
  },
  {
    name: 'the cap forgets what was seen within DEDUP_KEEP',
    file: 'libs/queue/memory.lua',
    find: "'-inf', now - keep, 'LIMIT'",
    replace: "'-inf', now, 'LIMIT'",
  },
  {
    name: 'a success that is not routed re-arms nothing',
    file: 'apps/ingest/handle-event.ts',
    find: "decision.kind === 'skip' && decision.recovery",
    replace: "decision.kind === 'skip' && decision.recovery && decision.outcome !== 'not_routed'",
  },
  {
    name: 'a success re-arms no failure',
    file: 'libs/queue/admit.lua',
    find: 'success <= at)',
    replace: 'success <= at and false)',
  },
  {
    name: 'a failure is sent although its object has recovered',
    file: 'libs/queue/begin-failure.lua',
    find: 'success > time then',
    replace: 'success > time and false then',
  },
  {
    name: 'the time of an event without one is by the clock of the replica',
    file: 'libs/routing/candidate.ts',
    find: 'Number.isNaN(ms) || ms < 0 ? undefined : Math.floor(ms / 1000)',
    replace: 'Math.floor(Math.min(Number.isNaN(ms) ? Date.now() : ms, Date.now()) / 1000)',
  },
  {
    name: 'a failure from a clock that has fallen behind is older than the last success',
    file: 'libs/queue/admit.lua',
    find: 'unless_late(unless_late(at, newest_time), success)',
    replace: 'unless_late(at, newest_time)',
  },
  {
    name: 'an event that is overtaken counts',
    file: 'libs/queue/admit.lua',
    find: "if not known and class ~= 'recovery' and newest_time and at < newest_time then return { 'stale' } end",
    replace: '',
  },
  {
    name: 'the deletion of an object counts as a failure',
    file: 'libs/routing/decide.ts',
    find: "return severity === 'info' && !INFO_FAILURE_REASONS.includes(reason) ? undefined : 'failure';",
    replace: "return 'failure';",
  },
  {
    name: 'DependencyNotReady does not wait',
    file: 'libs/routing/candidate.ts',
    find: "event.reason === 'DependencyNotReady' ? config.DEPENDENCY_GRACE : 0",
    replace: '0',
  },
  {
    name: 'an outage stays open although no failure of it was delivered',
    file: 'libs/queue/outages.lua',
    find: 'if outage and not outage.confirmed and not outage.open then',
    replace: 'if false then',
  },
  {
    name: 'an outage opens when its failure is enqueued',
    file: 'libs/queue/begin-failure.lua',
    find: 'if success and success > time then',
    replace: "if success and success > time then redis.call('HSET', key, dispatch, time .. ' confirmed')",
  },
  {
    name: 'a success does not end an outage',
    file: 'libs/queue/begin-failure.lua',
    find: 'if not outage or is_over then',
    replace: 'if not outage then',
  },
  {
    name: 'the identity of a recovery is its reason, not its outage',
    file: 'libs/routing/identity.ts',
    find: "identityOf(key, 'recovery', ['', [key.outageId]])",
    replace: "identityOf(key, 'recovery', [key.event.reason, []])",
  },
  {
    name: 'the identity of a recovery is its outage and its reason',
    file: 'libs/routing/identity.ts',
    find: "identityOf(key, 'recovery', ['', [key.outageId]])",
    replace: "identityOf(key, 'recovery', [key.event.reason, [key.outageId]])",
  },
  {
    name: 'a delivered failure does not confirm its outage',
    file: 'libs/queue/outages.lua',
    find: "if since then redis.call('HSET', key, id, since .. ' confirmed') end",
    replace: '',
  },
  {
    name: 'a recovery is sent although no failure was delivered',
    file: 'apps/dispatcher/begin.ts',
    find: "const isKnown = state === 'confirmed' ||",
    replace: "const isKnown = state !== 'tried' ||",
  },
  {
    name: 'a recovery does not wait for a failure that is under way',
    file: 'apps/dispatcher/begin.ts',
    find: "if (state === 'tried') return { kind: 'wait', dispatch };",
    replace: "if (state === 'tried') return { kind: 'superseded' };",
  },
  {
    name: 'a success in the same second is a recovery',
    file: 'libs/queue/outages.lua',
    find: 'outage.since < before and',
    replace: 'outage.since <= before and',
  },
  {
    name: 'a success in the same second ends the outage',
    file: 'libs/queue/begin-failure.lua',
    find: 'success > outage.since',
    replace: 'success >= outage.since',
  },
  {
    name: 'an outage is since its newest failure',
    file: 'libs/queue/begin-failure.lua',
    find: 'return { outage.id, outage.since }',
    replace: 'return { outage.id, time }',
  },
  {
    name: 'an outage lasts until its recovery arrives',
    file: 'libs/queue/outages.ts',
    find: 'duration_seconds: firstSuccess - since',
    replace: 'duration_seconds: Math.floor(Date.now() / 1000) - since',
  },
  {
    name: 'a recovery that is overtaken by a newer one is lost',
    file: 'libs/queue/admit.lua',
    find: "if not known and class ~= 'recovery' and newest_time",
    replace: 'if not known and newest_time',
  },
  {
    name: 'a success on an Alert for recoveries is not noted',
    file: 'libs/queue/end-outage.lua',
    find: 'local at = recovered(KEYS[1], KEYS[2], object, event_time(timestamp), prefix, memory, tonumber(max), tonumber(keep))',
    replace: 'local at = event_time(timestamp)',
  },
];

/**
 * A source with a fault in it.
 * @throws where the source has changed so that the fault does not fit any more
 */
export function mutated(source: string, { name, file, find, replace }: Mutation): string {
  if (source.split(find).length !== 2) {
    throw new Error(`${name}: ${file} does not have the text to replace exactly once`);
  }
  return source.replace(find, () => replace);
}

/**
 * A copy of the project with one fault in it. Disposing it leaves nothing behind.
 * @throws where the sources have changed so that the fault does not fit any more
 */
export async function mutatedTree(
  root: string,
  mutation: Mutation,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'flux-dispatch-mutation-'));
  const dispose = { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
  for (const folder of ['apps', 'libs', 'dev', 'test/simulation', 'package.json']) {
    await cp(join(root, folder), join(path, folder), { recursive: true });
  }
  // The links from node_modules to the packages of the project lead to the copy; everything else is shared.
  await mkdir(join(path, 'node_modules'));
  for (const name of await readdir(join(root, 'node_modules'))) {
    const source = join(root, 'node_modules', name);
    const target = join(path, 'node_modules', name);
    if (name === '@flux-dispatch') await cp(source, target, { recursive: true, verbatimSymlinks: true });
    else await symlink(source, target);
  }
  const file = join(path, mutation.file);
  try {
    await writeFile(file, mutated(await readFile(file, 'utf8'), mutation));
  } catch (error) {
    await dispose[Symbol.asyncDispose]();
    throw error;
  }
  return dispose;
}
