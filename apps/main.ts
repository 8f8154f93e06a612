import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBuild } from '@flux-dispatch/runtime/build';

// What an image runs: the app that its command names, of those that are in it.
const apps = readdirSync(import.meta.dirname).filter(app =>
  existsSync(join(import.meta.dirname, app, 'main.ts')),
);
const [, , app = ''] = process.argv;

// The kernel gives the first process of a container no signal that it does not handle, so one that is stopped while the
// app is still loading would wait for SIGKILL. Once the app handles them itself, this does nothing.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    if (process.listenerCount(signal) === 0) process.exit();
  });
}

const processes = apps.join(', ');
const HELP = `Usage: flux-dispatch PROCESS

Runs one process of flux-dispatch, configured by its environment: ${processes}.

  --version  print the version and the revision
  --help     print this
`;

if (app === '--help') {
  process.stdout.write(HELP);
} else if (app === '--version') {
  const { name, version, revision } = readBuild();
  process.stdout.write(`${name} ${version} (${revision})\n`);
} else if (apps.includes(app)) {
  await import(`./${app}/main.ts`);
} else {
  const fault = app === '' ? 'No process is named' : `There is no process "${app}"`;
  process.stderr.write(`${fault}: the command must be one of ${processes}\n`);
  process.exitCode = 1;
}
