import { createHash } from 'node:crypto';
import { alertsOf } from './alerts.ts';
import type { Random } from './random.ts';
import type { ControllerEvent, Post } from './steps.ts';
import {
  deleted,
  FAILURES_WITHOUT_REVISION,
  HELM_FAILURES,
  KUSTOMIZATION_FAILURES,
  reconciled,
} from './wordings.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export interface Arrival {
  /** Seconds since the epoch, by the history's clock. */
  readonly arrival: number;
  readonly post: Post;
}

export interface LifeOptions {
  readonly name: string;
  /** Of its Alerts. Default: they name none, or one that no other object has. */
  readonly cluster?: string;
  /** Seconds since the epoch. */
  readonly start: number;
  /** In seconds. */
  readonly length: number;
}

/** Collects the events of one object: each goes through each of its Alerts, and reaches ingest now or some seconds late. */
function createLife(random: Random, kind: ControllerEvent['kind'], options: LifeOptions) {
  const { name, cluster, start } = options;
  const alerts = alertsOf(random, name, cluster);
  let clock = random.pick([0, 0, 0, -300, 45]);
  // Where a clock differs or is missing, the order of the arrivals is all that there is.
  const timeless = random.chance(15) ? random.pick(['none', 'future'] as const) : undefined;
  const posts: Arrival[] = [];
  const uidOf = (generation: number) => uuid(`uid ${name} ${cluster ?? ''} ${generation}`);
  let uid = uidOf(0);
  let recreated = 0;
  let time = start + random.int(0, DAY);
  return {
    posts,
    failsAtAll: timeless === undefined,
    get time() {
      return time;
    },
    wait(from: number, to: number) {
      time += random.int(from, to);
    },
    /** Another replica of the controller takes over, on a node whose clock differs. */
    moveController() {
      clock = random.pick([0, -600, -40]);
    },
    recreate() {
      uid = uidOf(++recreated);
    },
    emit(
      reason: string,
      severity: 'info' | 'error',
      message: string,
      metadata: Readonly<Record<string, string>>,
    ) {
      time += random.int(0, 3);
      const timestamp =
        timeless === 'none' ? undefined : timeless === 'future' ? time + 400 * DAY : time + clock;
      for (const alert of random.shuffle(alerts)) {
        if (alert.severity === 'error' && severity !== 'error') continue;
        const event = { kind, name, uid, reason, severity, message, timestamp };
        // Flux tries again after 2, 4, 8 and 16 s.
        const late = timeless || random.chance(88) ? 0 : random.pick([2, 6, 14, 30]);
        const delivery = random.chance(92) ? 'once' : random.pick(['lost', 'both'] as const);
        posts.push({
          arrival: time + late,
          post: {
            kind: 'post',
            object: name,
            event: { ...event, metadata: { ...alert.metadata, ...metadata } },
            delivery,
          },
        });
      }
    },
  };
}

const INTERVALS: readonly [readonly [number, string], ...(readonly [number, string])[]] = [
  [MINUTE, '1m0s'],
  [10 * MINUTE, '10m0s'],
  [HOUR, '1h0m0s'],
  [12 * HOUR, '12h0m0s'],
  [48 * HOUR, '48h0m0s'],
];

/** The life of a Kustomization, some weeks long, as ingest sees it. */
export function kustomization(random: Random, options: LifeOptions): Arrival[] {
  const { name, start, length } = options;
  const life = createLife(random, 'Kustomization', options);
  const [interval, next] = random.pick(INTERVALS);
  const oci = random.chance(50);
  let artifact = 0;
  const revision = (number: number) => ({
    revision: oci
      ? `at23@sha256:${hex(`${name} ${number}`, 64)}`
      : `main@sha1:${hex(`${name} ${number}`, 40)}`,
  });
  const report = () =>
    life.emit('ReconciliationSucceeded', 'info', reconciled(random, next), revision(artifact));
  const reports = () => {
    for (let times = random.int(0, 4); times > 0; times--) {
      life.wait(interval, interval + 5);
      report();
    }
  };
  const outage = () => {
    // By a new artifact, or with the present one.
    if (random.chance(50)) artifact = random.int(0, 40);
    const reasons = Object.entries(KUSTOMIZATION_FAILURES);
    for (let times = random.int(1, 12); times > 0; times--) {
      const [reason, words] = random.pick(reasons as [(typeof reasons)[number]]);
      life.emit(reason, 'error', words(random), revision(artifact));
      life.wait(MINUTE, 10 * MINUTE);
    }
  };
  const fail = (reason: string) =>
    life.emit(reason, 'error', KUSTOMIZATION_FAILURES[reason]?.(random) ?? reason, revision(artifact));
  const pause = () => life.wait(0, random.pick([0, 1, 10, 5 * MINUTE]));
  /** Breaks and recovers some times over, by itself, by going back and by the next artifact. */
  const unrest = () => {
    const [first, second] = [artifact, artifact + 1];
    for (let times = random.int(1, 4); times > 0; times--) {
      for (let failures = random.int(1, 3); failures > 0; failures--) {
        fail(random.pick(['HealthCheckFailed', 'HealthCheckFailed', 'ReconciliationFailed']));
        pause();
      }
      artifact = random.pick([first, first, second]);
      for (let successes = random.int(1, 2); successes > 0; successes--) {
        report();
        pause();
      }
    }
  };
  const disconnected = () => {
    const failures = Object.entries(FAILURES_WITHOUT_REVISION);
    const [reason, words] = random.pick(failures as [(typeof failures)[number]]);
    for (let times = random.int(1, 10); times > 0; times--) {
      life.emit(reason, 'error', words(random), {});
      life.wait(20, MINUTE);
    }
  };

  report();
  while (life.time < start + length) {
    if (random.chance(3)) life.moveController();
    reports();
    life.wait(MINUTE, random.pick([HOUR, DAY, 3 * DAY]));
    const what = random.int(1, 100);
    if (what <= 35) {
      // Forward or back.
      artifact = random.chance(30) ? Math.max(0, artifact - random.int(1, 2)) : artifact + 1;
      if (random.chance(30)) {
        life.emit(
          'DependencyNotReady',
          'info',
          'Dependencies do not meet ready condition, retrying in 5s',
          revision(artifact),
        );
        life.wait(5, 30);
      }
      life.emit('Progressing', 'info', 'Deployment/product/app configured', revision(artifact));
      report();
    } else if (what <= 50 && life.failsAtAll) {
      unrest();
    } else if (what <= 65 && life.failsAtAll) {
      outage();
      if (random.chance(85)) report();
    } else if (what <= 75 && life.failsAtAll) {
      disconnected();
      report();
    } else if (what <= 82) {
      // Deleted, which Flux reports with the reason of the last condition, and created again.
      life.emit('ReconciliationSucceeded', 'info', deleted(random), revision(artifact));
      life.emit('ReconciliationSucceeded', 'info', reconciled(random, next), revision(artifact));
      if (life.failsAtAll && random.chance(40))
        life.emit('HealthCheckFailed', 'info', deleted(random), revision(artifact));
      life.recreate();
      life.wait(MINUTE, DAY);
      report();
    } else if (what <= 90) {
      // Suspended.
      life.wait(DAY, 6 * DAY);
      report();
    } else {
      // Back and forth within a minute.
      const other = artifact + 1;
      for (const each of [other, artifact, other]) {
        artifact = each;
        report();
        life.wait(5, 20);
      }
    }
  }
  return life.posts;
}

/** The life of a HelmRelease. */
export function helmRelease(random: Random, options: LifeOptions): Arrival[] {
  const { name, start, length } = options;
  const life = createLife(random, 'HelmRelease', options);
  let chart = 0;
  let release = 1;
  const revision = () => ({ revision: `1.4.${chart}`, 'app-version': '9' });
  const succeed = (reason: string, verb: string) =>
    life.emit(
      reason,
      'info',
      `Helm ${verb} succeeded for release product/${name}.v${release} with chart app@1.4.${chart}`,
      revision(),
    );
  const fail = (reason: string, severity: 'info' | 'error' = 'error') =>
    life.emit(reason, severity, HELM_FAILURES[reason]?.(random, release) ?? reason, revision());

  const test = () => {
    if (random.chance(30)) life.emit('TestSucceeded', 'info', 'Helm test succeeded', revision());
  };

  succeed('InstallSucceeded', 'install');
  while (life.time < start + length) {
    if (random.chance(3)) life.moveController();
    life.wait(HOUR, random.pick([DAY, 4 * DAY]));
    const what = random.int(1, 100);
    if (what <= 40) {
      // New values alone keep the chart's version.
      if (random.chance(50)) chart++;
      release++;
      succeed('UpgradeSucceeded', 'upgrade');
      test();
    } else if (what <= 75 && life.failsAtAll) {
      if (random.chance(50)) chart++;
      for (let retries = random.int(1, 10); retries > 0; retries--) {
        release++;
        fail('UpgradeFailed');
        life.wait(5, 20);
        fail('RollbackSucceeded', 'info');
        release++;
        life.wait(MINUTE, 5 * MINUTE);
      }
      // Or it recovers without a word, as after its values were put back.
      if (random.chance(85)) {
        release++;
        succeed('UpgradeSucceeded', 'upgrade');
        test();
      }
    } else if (what <= 85 && life.failsAtAll) {
      for (let retries = random.int(1, 8); retries > 0; retries--) {
        release += 2;
        fail('TestFailed');
        life.wait(MINUTE, 5 * MINUTE);
      }
      succeed('UpgradeSucceeded', 'upgrade');
    } else {
      // The release is uninstalled, and installed again with the same first words.
      life.emit(
        'UninstallSucceeded',
        'info',
        `Helm uninstall succeeded for release product/${name}.v${release}`,
        revision(),
      );
      life.recreate();
      life.wait(MINUTE, DAY);
      release = 1;
      succeed('InstallSucceeded', 'install');
    }
  }
  return life.posts;
}

function hex(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

function uuid(text: string): string {
  const digits = hex(text, 32);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
