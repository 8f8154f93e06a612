import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnvironment } from '@flux-dispatch/runtime/env';
import { matching } from '@flux-dispatch/runtime/variable';
import { createAppKey } from '@flux-dispatch/testbed/credentials';

// Fills the volume from which all services of docker-compose.yml read their secrets.
const given = matching(/^\S+$/, 'one word', { isSecret: true });
const parsed = parseEnvironment(
  { CREDENTIALS_PATH: matching(/^\//, 'the path of a folder'), HMAC_TOKEN: given, BOARD_PASSWORD: given },
  process.env,
);

if (parsed.ok) {
  const { CREDENTIALS_PATH: folder, HMAC_TOKEN, BOARD_PASSWORD } = parsed.config;
  const write = (name: string, content: string, flag?: 'wx') =>
    writeFileSync(join(folder, name), content, { mode: 0o600, ...(flag && { flag }) });
  write('token', HMAC_TOKEN);
  write('board-password', BOARD_PASSWORD);
  try {
    // Only at the first start: what runs already knows the key of then.
    write('app.pem', (await createAppKey()).privateKey, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
} else {
  for (const { message } of parsed.faults) process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
