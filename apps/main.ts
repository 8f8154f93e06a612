import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

// What an image runs: the app that its command names, of those that are in it.
const apps = readdirSync(import.meta.dirname).filter(app =>
  existsSync(join(import.meta.dirname, app, 'main.ts')),
);
const [, , app = ''] = process.argv;

// The first process of a container is deaf to signals that it does not handle, so one that is stopped while the app is
// still being loaded would have to wait for SIGKILL. As soon as the app handles them, this is no longer needed.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    if (process.listenerCount(signal) === 0) process.exit();
  });
}

if (apps.includes(app)) {
  await import(`./${app}/main.ts`);
} else {
  const fault = app === '' ? 'No process is named' : `There is no process "${app}"`;
  process.stderr.write(`${fault}: the command must be one of ${apps.join(', ')}\n`);
  process.exitCode = 1;
}
