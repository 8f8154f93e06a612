import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/**
 * Runs `command` once this process is gone, however it went: ended, crashed, or killed with -9, which no exit handler
 * outlives. A shell waits for the end of a pipe whose other end only this process has, so it is the kernel that tells it.
 * Dispose the lifeline when what it would clean up is already gone. Does nothing where there is no `/bin/sh`.
 */
export function lifeline(command: string, ...args: string[]): Disposable {
  // A process group of its own: Ctrl-C in the terminal is meant for us, not for what cleans up after us.
  const shell = spawn('/bin/sh', ['-c', 'read -r _; "$@"', 'sh', command, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.on('error', () => {});
  shell.unref();
  const pipe = shell.stdin as Socket;
  pipe.unref();
  return {
    [Symbol.dispose]() {
      shell.kill('SIGKILL');
      pipe.destroy();
    },
  };
}
