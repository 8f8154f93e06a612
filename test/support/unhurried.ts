/**
 * Variables with which no process gives up on Redis, GitHub or its own shutdown because the machine is busy, and with
 * which dispatches are not paced. For tests that are about neither timeouts nor the pace.
 */
export const UNHURRIED = {
  DISPATCH_RATE: 'off',
  QUEUE_TIMEOUT: '60s',
  DISPATCH_TIMEOUT: '60s',
  SHUTDOWN_TIMEOUT: '2m',
} as const;
