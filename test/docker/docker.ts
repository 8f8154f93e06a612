import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FaultRule } from '@flux-dispatch/github-stub/faults';
import { until } from '@flux-dispatch/testbed/until';
import type { Flux } from '../support/flux-client.ts';
import type { Balance, Ledger } from '../support/ledger.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Runs a command in the folder of docker-compose.yml and returns what it writes. @throws with what it writes to stderr */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd: ROOT, maxBuffer: MAX_OUTPUT_BYTES });
  return stdout.trim();
}

export function docker(...args: readonly string[]): Promise<string> {
  return run('docker', ...args);
}

/** The stand-in for GitHub in a container, with what it has received. */
export interface ContainedGitHub {
  readonly dispatches: Parameters<Ledger['balance']>[0]['dispatches'];
}

export async function lookAtGitHub(url: string): Promise<ContainedGitHub> {
  return (await (await fetch(`${url}/_stub/dispatches`)).json()) as ContainedGitHub;
}

export async function setFaults(url: string, rules: readonly FaultRule[]): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const { ok, status } = await fetch(`${url}/_stub/faults`, {
    ...{ method: 'PUT', headers, body: JSON.stringify(rules) },
  });
  if (!ok) throw new Error(`The stand-in for GitHub does not take the faults: ${status}`);
}

/** Waits until GitHub has all that was promised, while Flux goes on and then once it has ended, and adds it all up. */
export async function settle(flux: Flux, ledger: Ledger, githubUrl: string): Promise<Balance> {
  const settled = async () => {
    const missing = ledger.missing(await lookAtGitHub(githubUrl), []);
    return ledger.accepted === flux.deployments && missing.length === 0;
  };
  // What is not settled by then shows in the figures, which say more than a timeout.
  await until('all that was accepted is at GitHub', settled, 150_000).catch(() => undefined);
  await flux[Symbol.asyncDispose]();
  await until('what came at the end is there too', settled, 30_000).catch(() => undefined);
  return ledger.balance(await lookAtGitHub(githubUrl), []);
}
