import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { BOARD, CHART, chart, type KubernetesObject, MINIMAL, type Rendered } from './render.ts';
import { schemaFaults } from './schemas.ts';

const SAMPLES = join(CHART, 'ci');
const samples = await readdir(SAMPLES);

const PROCESSES = ['ingest', 'dispatcher', 'board'];

function containers(object: KubernetesObject) {
  const pod = object.kind === 'Pod' ? object.spec : object.spec?.template?.spec;
  return pod ? pod.containers.map((container: unknown) => ({ pod, container })) : [];
}

describe.each(samples)('ci/%s', sample => {
  const values = ['--values', join(SAMPLES, sample)];

  test('is linted without a complaint', async context => {
    await (await chart(context)).lint(...values);
  });

  test('renders what the API server takes', async context => {
    const { objects } = await (await chart(context)).render(...values);
    for (const object of objects) {
      expect.soft(schemaFaults(object), `${object.kind} ${object.metadata.name}`).toEqual([]);
    }
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  test('every pod keeps to the restricted Pod Security Standard, and has no token', async context => {
    const { objects } = await (await chart(context)).render(...values);
    const found = objects.flatMap(containers);
    expect(found.length).toBeGreaterThanOrEqual(3);
    for (const { pod, container } of found) {
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources).toMatchObject({
        requests: { memory: expect.any(String) },
        limits: { memory: expect.any(String) },
      });
    }
  });

  test('every selector finds its pods, and what is selected listens there', async context => {
    const { objects } = await (await chart(context)).render(...values);
    const sets = objects.filter(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind));
    const pods = [...sets.map(({ spec }) => spec.template), ...objects.filter(({ kind }) => kind === 'Pod')];
    const selected = (labels: Record<string, string>): KubernetesObject[] =>
      pods.filter(({ metadata }) =>
        Object.entries(labels).every(([key, value]) => metadata.labels[key] === value),
      );
    for (const { spec } of sets) expect(selected(spec.selector.matchLabels)).toHaveLength(1);
    for (const { kind, spec } of objects) {
      if (kind === 'PodDisruptionBudget') expect(selected(spec.selector.matchLabels)).toHaveLength(1);
      if (kind === 'NetworkPolicy') expect(selected(spec.podSelector.matchLabels)).toHaveLength(1);
      if (kind !== 'Service') continue;
      for (const { targetPort } of spec.ports) {
        const ports = selected(spec.selector).flatMap(({ spec }) => spec.containers[0].ports ?? []);
        expect(ports.map(({ name }) => name)).toContain(targetPort);
      }
    }
  });
});

test('the smallest installation: two replicas of ingest and dispatcher, budgets, policies, and no more', async context => {
  const { objects } = await (await chart(context)).render(...MINIMAL);
  expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
    'ConfigMap flux-dispatch-dispatcher',
    'ConfigMap flux-dispatch-ingest',
    'Deployment flux-dispatch-dispatcher',
    'Deployment flux-dispatch-ingest',
    'NetworkPolicy flux-dispatch-dispatcher',
    'NetworkPolicy flux-dispatch-ingest',
    'NetworkPolicy flux-dispatch-test',
    'Pod flux-dispatch-test',
    'PodDisruptionBudget flux-dispatch-dispatcher',
    'PodDisruptionBudget flux-dispatch-ingest',
    'Service flux-dispatch-ingest',
    'ServiceAccount flux-dispatch',
  ]);
});

describe('replicas', () => {
  test('are two by default, as many as the values say, or the autoscaler’s business', async context => {
    const { render } = await chart(context);
    const replicas = ({ get }: Rendered) =>
      ['ingest', 'dispatcher'].map(name => get('Deployment', `flux-dispatch-${name}`).spec.replicas);
    expect(replicas(await render(...MINIMAL))).toEqual([2, 2]);
    const own = ['--set', 'ingest.replicas=4', '--set', 'dispatcher.replicas=0'];
    expect(replicas(await render(...MINIMAL, ...own))).toEqual([4, 0]);
    const scaled = await render(...MINIMAL, '--set', 'ingest.autoscaling.enabled=true');
    expect(replicas(scaled)).toEqual([undefined, 2]);
    expect(scaled.get('HorizontalPodAutoscaler', 'flux-dispatch-ingest').spec).toMatchObject({
      scaleTargetRef: { kind: 'Deployment', name: 'flux-dispatch-ingest' },
      ...{ minReplicas: 2, maxReplicas: 5 },
    });
  });

  test('are spread, and updated without one less', async context => {
    const { get } = await (await chart(context)).render(...MINIMAL);
    for (const name of ['ingest', 'dispatcher']) {
      const { spec } = get('Deployment', `flux-dispatch-${name}`);
      expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
      const spread = spec.template.spec.topologySpreadConstraints;
      expect(spread.map(({ topologyKey }: { topologyKey: string }) => topologyKey)).toEqual([
        'kubernetes.io/hostname',
        'topology.kubernetes.io/zone',
      ]);
      expect(spread[0].labelSelector).toEqual(spec.selector);
    }
  });
});

test.for([
  { args: [], ingest: 35, dispatcher: 30 },
  { args: ['--set', 'shutdownTimeoutSeconds=60'], ingest: 70, dispatcher: 65 },
  { args: ['--set', 'ingest.preStopSeconds=20'], ingest: 50, dispatcher: 30 },
])(
  'the grace period is longer than preStop and SHUTDOWN_TIMEOUT: $args',
  async ({ args, ...expected }, context) => {
    const { get } = await (await chart(context)).render(...MINIMAL, ...args);
    for (const [name, seconds] of Object.entries(expected)) {
      const { spec } = get('Deployment', `flux-dispatch-${name}`).spec.template;
      const preStop = spec.containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
      const shutdown = Number.parseInt(get('ConfigMap', `flux-dispatch-${name}`).data.SHUTDOWN_TIMEOUT, 10);
      expect(spec.terminationGracePeriodSeconds).toBe(seconds);
      expect(seconds).toBeGreaterThan(preStop + shutdown);
    }
  },
);

describe('probes', () => {
  test('ask the metrics port, where every process answers them', async context => {
    const { get } = await (await chart(context)).render(...MINIMAL, ...BOARD);
    for (const name of PROCESSES) {
      const [container] = get('Deployment', `flux-dispatch-${name}`).spec.template.spec.containers;
      expect(container).toMatchObject({
        startupProbe: { httpGet: { path: '/healthz', port: 'metrics' } },
        livenessProbe: { httpGet: { path: '/healthz', port: 'metrics' } },
        readinessProbe: { httpGet: { path: '/readyz', port: 'metrics' } },
      });
      const { METRICS_ADDR } = get('ConfigMap', `flux-dispatch-${name}`).data;
      expect(container.ports).toContainEqual({
        name: 'metrics',
        containerPort: Number(METRICS_ADDR.slice(1)),
      });
    }
  });
});

describe('secrets', () => {
  test('are mounted as files from existing Secrets, and never rendered', async context => {
    const { objects, get } = await (await chart(context)).render(
      ...[...MINIMAL, ...BOARD],
      ...['--set', 'redis.passwordSecret.name=redis', '--set', 'redis.caSecret.name=redis-ca'],
      ...['--set', 'ingest.hmacSecret.key=hmac'],
    );
    expect(objects.map(({ kind }) => kind)).not.toContain('Secret');
    const mounted = (name: string) => {
      const { spec } = get('Deployment', `flux-dispatch-${name}`).spec.template;
      expect(spec.containers[0].volumeMounts).toEqual([
        { name: 'secrets', mountPath: '/etc/flux-dispatch/secrets', readOnly: true },
      ]);
      const [{ projected }] = spec.volumes;
      expect(projected.defaultMode).toBe(0o440);
      // biome-ignore lint/suspicious/noExplicitAny: by the schema of a projected volume
      return projected.sources.map(({ secret }: any) => [
        secret.name,
        secret.items[0].key,
        secret.items[0].path,
      ]);
    };
    const redis = [
      ['redis', 'password', 'redis-password'],
      ['redis-ca', 'ca.crt', 'redis-ca.crt'],
    ];
    expect(mounted('ingest')).toEqual([['token', 'hmac', 'hmac-token'], ...redis]);
    expect(mounted('dispatcher')).toEqual([
      ['github-app', 'private-key.pem', 'github-private-key.pem'],
      ...redis,
    ]);
    expect(mounted('board')).toEqual([['board', 'password', 'board-password'], ...redis]);
    expect(get('ConfigMap', 'flux-dispatch-ingest').data).toMatchObject({
      HMAC_TOKEN_PATH: '/etc/flux-dispatch/secrets/hmac-token',
      REDIS_PASSWORD_PATH: '/etc/flux-dispatch/secrets/redis-password',
      REDIS_CA_PATH: '/etc/flux-dispatch/secrets/redis-ca.crt',
    });
  });

  test('there are none where none is needed', async context => {
    const { get } = await (await chart(context)).render(
      ...['--set', 'redis.trial.enabled=true'],
      ...['--set', 'ingest.allowUnsigned=true', '--set', 'dispatcher.dryRun=true'],
    );
    for (const name of ['ingest', 'dispatcher']) {
      const { spec } = get('Deployment', `flux-dispatch-${name}`).spec.template;
      expect([spec.volumes, spec.containers[0].volumeMounts]).toEqual([undefined, undefined]);
    }
    expect(get('ConfigMap', 'flux-dispatch-ingest').data.ALLOW_UNSIGNED).toBe('true');
  });
});

test('a changed variable rolls the pods that have it, and no others', async context => {
  const { render } = await chart(context);
  const checksums = async (...args: string[]) => {
    const { get } = await render(...MINIMAL, ...args);
    return ['ingest', 'dispatcher'].map(
      name =>
        get('Deployment', `flux-dispatch-${name}`).spec.template.metadata.annotations[
          'checksum/config'
        ] as string,
    );
  };
  const [ingest, dispatcher] = await checksums();
  const changed = await checksums('--set', 'ingest.config.DEDUP_TTL=60d');
  expect(changed[0]).not.toBe(ingest);
  expect(changed[1]).toBe(dispatcher);
});

describe('NetworkPolicies', () => {
  const names = (rule: { from: { namespaceSelector?: { matchExpressions: { values: string[] }[] } }[] }) =>
    rule.from.flatMap(({ namespaceSelector }) =>
      namespaceSelector?.matchExpressions.flatMap(({ values }) => values),
    );

  test('let in Flux to ingest, Prometheus to the metrics, and to the board whom the values name', async context => {
    const { get } = await (await chart(context)).render(
      ...[...MINIMAL, ...BOARD],
      ...['--set', 'networkPolicy.boardNamespaces={ingress-nginx}'],
      ...['--set', 'networkPolicy.monitoringNamespaces={monitoring,observability}'],
    );
    const scrapers = [['monitoring', 'observability'], [{ port: 'metrics' }]];
    const allowed = (name: string) => {
      const { spec } = get('NetworkPolicy', `flux-dispatch-${name}`);
      expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
      return spec.ingress
        .filter((rule: { from: object[] }) => !rule.from.some(peer => 'podSelector' in peer))
        .map((rule: Parameters<typeof names>[0] & { ports: unknown }) => [names(rule), rule.ports]);
    };
    expect(allowed('ingest')).toEqual([[['flux-system'], [{ port: 'http' }]], scrapers]);
    expect(allowed('dispatcher')).toEqual([scrapers]);
    expect(allowed('board')).toEqual([[['ingress-nginx'], [{ port: 'http' }]], scrapers]);
  });

  test('let no one in where no namespace is named', async context => {
    const { get } = await (await chart(context)).render(
      ...[...MINIMAL, ...BOARD],
      ...[
        '--set-json',
        'networkPolicy.monitoringNamespaces=[]',
        '--set-json',
        'networkPolicy.fluxNamespaces=[]',
      ],
    );
    for (const name of ['dispatcher', 'board']) {
      expect(get('NetworkPolicy', `flux-dispatch-${name}`).spec.ingress).toEqual([]);
    }
    const [test, ...others] = get('NetworkPolicy', 'flux-dispatch-ingest').spec.ingress;
    expect(test.from[0].podSelector.matchLabels['app.kubernetes.io/component']).toBe('test');
    expect(others).toEqual([]);
  });

  const DNS = [53, 53];
  test.for([
    { url: 'redis://redis.databases', redis: [6379] },
    { url: 'rediss://user@redis.example.com:6380/2', redis: [6380] },
    { url: 'redis://[fd00::7]:7000', redis: [7000] },
    { url: 'redis-sentinel://a:26379\\,b:26380\\,c/mymaster', redis: [26379, 26380, 6379] },
  ])('let out to DNS and the ports of $url, and dispatcher to GitHub', async ({ url, redis }, context) => {
    const { get } = await (await chart(context)).render(...MINIMAL, ...BOARD, '--set', `redis.url=${url}`);
    const out = (name: string) =>
      get('NetworkPolicy', `flux-dispatch-${name}`).spec.egress.flatMap(
        ({ ports }: { ports: { port: number }[] }) => ports.map(({ port }) => port),
      );
    expect(out('ingest')).toEqual([...DNS, ...redis]);
    expect(out('board')).toEqual([...DNS, ...redis]);
    expect(out('dispatcher')).toEqual([...DNS, ...redis, 443]);
  });

  test('the port of a GitHub Enterprise Server, and none in a dry run', async context => {
    const { render } = await chart(context);
    const last = async (...args: string[]) =>
      (await render(...MINIMAL, ...args)).get('NetworkPolicy', 'flux-dispatch-dispatcher').spec.egress.at(-1)
        .ports;
    expect(await last('--set', 'dispatcher.github.apiUrl=https://github.example.com:8443/api/v3')).toEqual([
      { port: 8443, protocol: 'TCP' },
    ]);
    expect(await last('--set', 'dispatcher.dryRun=true')).toEqual([{ port: 6379, protocol: 'TCP' }]);
  });

  test('the trial Redis is for the processes alone', async context => {
    const { get } = await (await chart(context)).render(
      ...['--set', 'redis.trial.enabled=true', '--set', 'ingest.hmacSecret.name=token'],
      ...['--set', 'dispatcher.dryRun=true'],
    );
    const { spec } = get('NetworkPolicy', 'flux-dispatch-redis');
    expect(spec.egress).toEqual([]);
    expect(spec.ingress).toHaveLength(1);
    const components = spec.ingress[0].from.map(
      (peer: { podSelector: { matchLabels: Record<string, string> } }) =>
        peer.podSelector.matchLabels['app.kubernetes.io/component'],
    );
    expect(components).toEqual(PROCESSES);
    const toRedis = get('NetworkPolicy', 'flux-dispatch-ingest').spec.egress.at(-1);
    expect(toRedis.to[0].podSelector.matchLabels).toEqual(spec.podSelector.matchLabels);
    expect(get('ConfigMap', 'flux-dispatch-ingest').data.REDIS_URL).toBe('redis://flux-dispatch-redis:6379');
    expect(get('StatefulSet', 'flux-dispatch-redis').spec.template.spec.containers[0].args.join(' ')).toMatch(
      /--appendonly yes .*--maxmemory-policy noeviction/,
    );
  });

  const MI = 1024 * 1024;
  test.for<[limit: string | undefined, bytes: number]>([
    [undefined, 192 * MI],
    ['512Mi', 384 * MI],
    ['2Gi', 1536 * MI],
    ['200M', 150_000_000],
    ['1073741824', 768 * MI],
  ])(
    'the trial Redis with a memory limit of %s refuses writes before it is killed',
    async ([limit, bytes], context) => {
      const { get } = await (await chart(context)).render(
        ...['--set', 'redis.trial.enabled=true', '--set', 'ingest.hmacSecret.name=token'],
        ...['--set', 'dispatcher.dryRun=true'],
        ...(limit === undefined ? [] : ['--set', `redis.trial.resources.limits.memory=${limit}`]),
      );
      const [{ args }] = get('StatefulSet', 'flux-dispatch-redis').spec.template.spec.containers;
      expect(args[args.indexOf('--maxmemory') + 1]).toBe(String(bytes));
    },
  );

  test('there are none where they are off', async context => {
    const { objects } = await (await chart(context)).render(
      ...[
        ...MINIMAL,
        '--set',
        'networkPolicy.enabled=false',
        '--set',
        'redis.url=',
        '--set',
        'redis.trial.enabled=true',
      ],
    );
    expect(objects.filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([]);
  });
});

describe('aliases of the Service of ingest', () => {
  const ALIASES = [
    '--set-json',
    'ingest.service.aliases=[{"name":"webhook","port":80},{"name":"yes","port":8080}]',
  ];

  test('lead to the same pods, by another name and from another port', async context => {
    const { get } = await (await chart(context)).render(...MINIMAL, ...ALIASES);
    const { spec } = get('Service', 'flux-dispatch-ingest');
    for (const [name, port] of [
      ['webhook', 80],
      ['yes', 8080],
    ] as const) {
      const alias = get('Service', name);
      expect(schemaFaults(alias)).toEqual([]);
      expect(alias.metadata.namespace).toBe(get('Deployment', 'flux-dispatch-ingest').metadata.namespace);
      expect(alias.spec).toEqual({ ...spec, ports: [{ ...spec.ports[0], port }] });
    }
  });

  test('stay inside the cluster, whatever the type of the Service', async context => {
    const { get } = await (await chart(context)).render(
      ...[...MINIMAL, ...ALIASES, '--set', 'ingest.service.type=LoadBalancer'],
    );
    expect(get('Service', 'webhook').spec.type).toBe('ClusterIP');
  });
});

describe('monitoring', () => {
  const ON = (kind: string) => ['--set', `monitoring.${kind}.enabled=true`];

  test('the PodMonitor of Azure Monitor differs from that of the operator in its group alone', async context => {
    const { render } = await chart(context);
    const own = await render(...MINIMAL, ...ON('podMonitor'));
    const azure = await render(
      ...[...MINIMAL, ...ON('podMonitor')],
      ...['--set', 'monitoring.podMonitor.apiVersion=azmonitoring.coreos.com/v1'],
    );
    const podMonitor = azure.get('PodMonitor', 'flux-dispatch');
    expect(schemaFaults(podMonitor)).toEqual([]);
    expect(podMonitor).toEqual({
      ...own.get('PodMonitor', 'flux-dispatch'),
      apiVersion: 'azmonitoring.coreos.com/v1',
    });
    expect(own.get('PodMonitor', 'flux-dispatch').apiVersion).toBe('monitoring.coreos.com/v1');
    // Its schema is older. These fields are in both.
    const [endpoint] = podMonitor.spec.podMetricsEndpoints;
    expect(Object.keys(podMonitor.spec)).toEqual(['selector', 'podMetricsEndpoints']);
    expect(Object.keys(endpoint)).toEqual(['port', 'interval', 'relabelings']);
    expect(Object.keys(endpoint.relabelings[0])).toEqual(['sourceLabels', 'targetLabel', 'replacement']);
  });

  test.for([
    { max: undefined, limit: 80_000 },
    { max: '5000', limit: 4000 },
    { max: '1000000', limit: 800_000 },
  ])('the alert on remembered streams follows DEDUP_MAX_ENTRIES=$max', async ({ max, limit }, context) => {
    const { get } = await (await chart(context)).render(
      ...[...MINIMAL, ...ON('prometheusRule'), ...ON('dashboard')],
      ...(max === undefined ? [] : ['--set', `ingest.config.DEDUP_MAX_ENTRIES=${max}`]),
    );
    const rules = JSON.stringify(get('PrometheusRule', 'flux-dispatch').spec);
    expect(rules).toContain(`max(flux_dispatch_dedup_entries) > ${limit}"`);
    const { panels } = JSON.parse(get('ConfigMap', 'flux-dispatch-dashboard').data['flux-dispatch.json']);
    const panel = panels.find(({ title }: { title: string }) => title === 'Streams remembered');
    expect(panel.fieldConfig.defaults.thresholds.steps.at(-1).value).toBe(limit);
  });

  test('the jobs that the monitors make are those that the alerts ask for', async context => {
    const { render } = await chart(context);
    for (const kind of ['podMonitor', 'serviceMonitor']) {
      const rendered = await render(
        ...MINIMAL,
        ...ON(kind),
        ...ON('prometheusRule'),
        '--set',
        'fullnameOverride=own',
      );
      const { spec } = rendered.get(kind === 'podMonitor' ? 'PodMonitor' : 'ServiceMonitor', 'own');
      const [endpoint] = spec.podMetricsEndpoints ?? spec.endpoints;
      expect(endpoint).toMatchObject({
        port: 'metrics',
        relabelings: [{ targetLabel: 'job', replacement: 'own-$1' }],
      });
      const rules = JSON.stringify(rendered.get('PrometheusRule', 'own'));
      expect(rules).toContain('job=\\"own-dispatcher\\"');
      expect(rules).not.toMatch(/job=~?\\"flux-dispatch/);
    }
  });

  test('the rules are those of files/alerts.yaml, without the unwanted and those for what does not run', async context => {
    const { render } = await chart(context);
    const alerts = async (...args: string[]) => {
      const { get } = await render(...MINIMAL, ...ON('prometheusRule'), ...args);
      // biome-ignore lint/suspicious/noExplicitAny: by the schema of a PrometheusRule
      return get('PrometheusRule', 'flux-dispatch').spec.groups.flatMap(({ rules }: any) => rules);
    };
    const file = parse(await readFile(join(CHART, 'files/alerts.yaml'), 'utf8'));
    const all = file.groups.flatMap(({ rules }: { rules: { alert: string }[] }) => rules);
    expect(await alerts(...BOARD)).toEqual(all);
    expect(await alerts()).toEqual(
      all.filter(({ alert }: { alert: string }) => alert !== 'FluxDispatchBoardDown'),
    );
    const some = await alerts(
      ...[...BOARD, '--set', 'monitoring.prometheusRule.disabled={FluxDispatchQueueLate}'],
      ...['--set', 'monitoring.runbookUrl=https://example.com/runbook'],
    );
    expect(some).toHaveLength(all.length - 1);
    expect(some[0].annotations.runbook_url).toBe('https://example.com/runbook#fluxdispatchqueuestuck');
  });

  test('the dashboard is the file itself, with the runbook of the values', async context => {
    const { render } = await chart(context);
    const file = await readFile(join(CHART, 'files/dashboard.json'), 'utf8');
    const dashboard = async (...args: string[]) => {
      const { get } = await render(...MINIMAL, ...ON('dashboard'), ...args);
      const { metadata, data } = get('ConfigMap', 'flux-dispatch-dashboard');
      expect(metadata.labels.grafana_dashboard).toBe('1');
      return JSON.parse(data['flux-dispatch.json']);
    };
    expect(await dashboard()).toEqual(JSON.parse(file));
    const moved = file.replaceAll(/https:[^"]*docs\/operations\.md/g, 'https://example.com/runbook');
    expect(moved).not.toBe(file);
    expect(await dashboard('--set', 'monitoring.runbookUrl=https://example.com/runbook')).toEqual(
      JSON.parse(moved),
    );
  });
});

test('two versions side by side, and an image by its digest', async context => {
  const { render } = await chart(context);
  const digest = `sha256:${'0'.repeat(64)}`;
  const images = ({ get }: Rendered) =>
    ['ingest', 'dispatcher'].map(name =>
      get('Deployment', `flux-dispatch-${name}`).spec.template.spec.containers[0].image.split('/').at(-1),
    );
  const { version } = JSON.parse(await readFile(join(CHART, '../package.json'), 'utf8'));
  expect(images(await render(...MINIMAL))).toEqual([`flux-dispatch:${version}`, `flux-dispatch:${version}`]);
  const pinned = [...MINIMAL, '--set', `image.digest=${digest}`];
  expect(images(await render(...pinned, '--set', 'ingest.image.tag=0.9.0'))).toEqual([
    'flux-dispatch:0.9.0',
    `flux-dispatch@${digest}`,
  ]);
});

test.for(['n', 'yes', '123', '1e3'])('a release may be called %s', async (name, context) => {
  const { objects } = await (await chart(context)).render(...MINIMAL, '--name-template', name);
  const [deployment] = objects.filter(({ kind }) => kind === 'Deployment');
  expect(deployment?.metadata.labels['app.kubernetes.io/instance']).toBe(name);
  for (const object of objects) expect(schemaFaults(object)).toEqual([]);
});

test('what looks like another type or the end of a value stays the text that it is', async context => {
  const { get } = await (await chart(context)).render(
    ...[...MINIMAL, ...BOARD, '--set', 'networkPolicy.boardNamespaces={proxy}'],
    ...['--set-string', 'ingest.hmacSecret.name=0123', '--set-string', 'ingest.priorityClassName=0123'],
    ...['--set', 'board.auth.mode=proxy', '--set-string', 'board.auth.proxyUserHeader=yes'],
    ...['--set', 'board.auth.trustedProxies={10.0.0.0/8}', '--set-string', 'redis.queuePrefix=yes#"'],
  );
  const { spec } = get('Deployment', 'flux-dispatch-ingest').spec.template;
  expect([spec.priorityClassName, spec.volumes[0].projected.sources[0].secret.name]).toEqual([
    '0123',
    '0123',
  ]);
  expect(get('ConfigMap', 'flux-dispatch-board').data).toMatchObject({
    BOARD_PROXY_USER_HEADER: 'yes',
    QUEUE_PREFIX: 'yes#"',
  });
});

test('the pod of helm test runs where ingest may, and reaches nothing but it', async context => {
  const { get } = await (await chart(context)).render(
    ...[
      ...MINIMAL,
      '--set',
      'ingest.nodeSelector.pool=platform',
      '--set',
      'image.pullSecrets[0].name=registry',
    ],
  );
  const { spec } = get('Pod', 'flux-dispatch-test');
  expect(spec).toMatchObject({
    nodeSelector: { pool: 'platform' },
    imagePullSecrets: [{ name: 'registry' }],
  });
  const policy = get('NetworkPolicy', 'flux-dispatch-test').spec;
  expect(policy.ingress).toEqual([]);
  expect(policy.egress.at(-1).to[0].podSelector.matchLabels['app.kubernetes.io/component']).toBe('ingest');
});

test('as the dependency of another chart, under a condition', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-parent-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  const parent = {
    ...{ apiVersion: 'v2', name: 'platform', version: '1.0.0' },
    dependencies: [{ name: 'flux-dispatch', version: '*', condition: 'flux-dispatch.enabled' }],
  };
  await writeFile(join(folder, 'Chart.yaml'), stringify(parent));
  await mkdir(join(folder, 'charts'));
  await symlink(CHART, join(folder, 'charts/flux-dispatch'));
  const minimal = parse(await readFile(join(SAMPLES, 'minimal-values.yaml'), 'utf8'));
  const values = { global: { region: 'no' }, 'flux-dispatch': { enabled: true, ...minimal } };
  await writeFile(join(folder, 'values.yaml'), stringify(values));
  const { has } = await (await chart(context, folder)).render();
  expect(has('Deployment', 'flux-dispatch-ingest')).toBe(true);
});

test('the notes name the permissions of the GitHub App, and say where receipts are off', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-notes-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  await cp(CHART, folder, { recursive: true });
  // helm template leaves the notes out, and helm install wants a cluster.
  const notes = '{{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}';
  const object = `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: notes }\ndata: { notes: ${notes} }\n`;
  await writeFile(join(folder, 'templates/notes.yaml'), object);
  const { render } = await chart(context, folder);
  const notesOf = async (...args: string[]) =>
    (await render(...MINIMAL, ...args)).get('ConfigMap', 'notes').data.notes;
  const on = await notesOf();
  for (const permission of ['Contents: read and write', 'Metadata: read', 'Actions: read ']) {
    expect(on).toContain(permission);
  }
  expect(on).not.toContain('RUN_RECEIPTS');
  expect(await notesOf('--set', 'dispatcher.config.RUN_RECEIPTS=off')).toContain('RUN_RECEIPTS is off');
});

test('names stay short enough, whatever the release is called', async context => {
  const { objects } = await (await chart(context)).render(
    ...[...MINIMAL, ...BOARD, '--set', `fullnameOverride=${'long-'.repeat(20)}name`],
  );
  for (const { metadata } of objects) expect(metadata.name.length).toBeLessThanOrEqual(63);
});

describe('refuses, with a message that says what to do', () => {
  test.for<[args: string[], message: RegExp]>([
    [['--set', 'ingest.replcas=3'], /'replcas' not allowed/],
    [['--set', 'ingest.config.DEDUP_TLT=3h'], /\/ingest\/config.*'DEDUP_TLT' not allowed/],
    [['--set', 'ingest.config.HMAC_TOKEN_PATH=/x'], /'HMAC_TOKEN_PATH' not allowed/],
    [['--set', 'ingest.config.DEDUP_TTL=3 hours'], /DEDUP_TTL.*'3 hours' does not match/],
    [['--set', 'dispatcher.config.DISPATCH_RATE=8'], /DISPATCH_RATE.*got number, want string/],
    [['--set', 'ingest.config.REJECT_STATUS=404'], /REJECT_STATUS.*must be one of 422, 200/],
    [['--set', 'redis.url=http://redis'], /redis\/url.*'http:\/\/redis' does not match/],
    [['--set', 'redis.url='], /redis\.url is missing/],
    [['--set', 'redis.trial.enabled=true'], /redis\.url and redis\.trial\.enabled exclude each other/],
    [['--set', 'redis.url=redis://user:secret@redis'], /redis\.url must not hold a password/],
    [['--set', 'ingest.hmacSecret.name='], /ingest\.hmacSecret\.name is missing/],
    [['--set', 'dispatcher.github.appId='], /dispatcher\.github\.appId is missing/],
    [['--set', 'dispatcher.github.privateKeySecret.name='], /privateKeySecret\.name is missing/],
    [['--set', 'board.enabled=true'], /board\.auth\.passwordSecret\.name is missing/],
    [
      ['--set', 'board.enabled=true,board.auth.mode=proxy'],
      /proxyUserHeader is missing[\s\S]*trustedProxies is missing/,
    ],
    [['--set', 'board.enabled=true,board.auth.mode=none'], /mode.*must be one of 'basic', 'proxy'/],
    [
      ['--set', 'ingest.autoscaling.enabled=true,ingest.autoscaling.maxReplicas=1'],
      /minReplicas must not be greater/,
    ],
    [['--set', 'ingest.replicas=null'], /\/ingest': missing property 'replicas'/],
    [['--set', 'networkPolicy.enabled=null'], /\/networkPolicy': missing property 'enabled'/],
    [['--set', 'image=null'], /missing property 'image'/],
    [['--set', 'ingest.config.DEDUP_TTL=366d'], /DEDUP_TTL.*'366d' does not match/],
    [['--set', 'ingest.config.DEDUP_KEEP=30d'], /DEDUP_KEEP.*'30d' does not match/],
    [['--set', 'dispatcher.config.RUN_RECEIPTS=on'], /RUN_RECEIPTS.*must be one of 'auto', 'off'/],
    // What YAML makes of off without quotes.
    [['--set-json', 'dispatcher.config.RUN_RECEIPTS=false'], /RUN_RECEIPTS.*got boolean, want string/],
    [['--set', 'dispatcher.config.RUN_RETENTION=30d'], /RUN_RETENTION.*'30d' does not match/],
    [['--set', 'dispatcher.config.GITHUB_API_VERSION=latest'], /GITHUB_API_VERSION.*'latest' does not match/],
    [['--set-json', 'ingest.service.aliases=[{"name":"a"}]'], /aliases\/0.*missing property 'port'/],
    [['--set-json', 'ingest.service.aliases=[{"name":"a.b","port":80}]'], /aliases\/0\/name.*does not match/],
    [
      ['--set-json', 'ingest.service.aliases=[{"name":"flux-dispatch-ingest","port":80}]'],
      /aliases names flux-dispatch-ingest twice/,
    ],
    [
      ['--set-json', 'ingest.service.aliases=[{"name":"a","port":80},{"name":"a","port":81}]'],
      /aliases names a twice/,
    ],
    [
      ['--set', 'redis.url=,redis.trial.enabled=true,redis.trial.resources.limits.memory=1.5Gi'],
      /redis\.trial\.resources\.limits\.memory must be a whole number/,
    ],
    [
      ['--set', 'redis.url=,redis.trial.enabled=true,redis.trial.resources.limits=null'],
      /redis\.trial\.resources\.limits\.memory must be a whole number/,
    ],
    [
      ['--set', 'monitoring.podMonitor.apiVersion=monitoring.coreos.com/v2'],
      /apiVersion.*must be one of 'monitoring\.coreos\.com\/v1', 'azmonitoring\.coreos\.com\/v1'/,
    ],
    [['--set', 'ingest.config.DEDUP_MAX_ENTRIES=0'], /DEDUP_MAX_ENTRIES.*minimum/],
    [['--set', 'dispatcher.config.DISPATCH_CONCURRENCY=100000'], /DISPATCH_CONCURRENCY.*maximum/],
    [['--set', 'redis.queuePrefix=a:b'], /queuePrefix.*does not match/],
    [['--set', 'redis.url=redis://u:p/w@redis:6379'], /redis\.url must not hold a password/],
    [['--set', 'redis.url=redis://redis?password=p'], /redis\/url.*does not match/],
    [['--set', 'dispatcher.github.apiUrl=https://user:p@github.example.com'], /apiUrl.*does not match/],
    [['--set-string', 'commonLabels.app\\.kubernetes\\.io/name=x'], /commonLabels/],
    [['--set', 'fullnameOverride=1.2'], /fullnameOverride.*does not match/],
    [
      ['--set', 'monitoring.prometheusRule.disabled={FluxDispatchQueueLater}'],
      /disabled names FluxDispatchQueueLater, and there is no such alert/,
    ],
    [
      [...BOARD, '--set', 'board.ingress.enabled=true,board.ingress.host=board.example.com'],
      /networkPolicy\.boardNamespaces is empty/,
    ],
    [
      ['--set', 'monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true'],
      /podMonitor and monitoring\.serviceMonitor exclude each other/,
    ],
  ])('%j', async ([args, message], context) => {
    await expect((await chart(context)).render(...MINIMAL, ...args)).rejects.toThrow(message);
  });

  test('all that is missing at once', async context => {
    await expect((await chart(context)).render()).rejects.toThrow(
      /redis\.url is missing[\s\S]*hmacSecret\.name is missing[\s\S]*appId is missing[\s\S]*privateKeySecret\.name is missing/,
    );
  });
});
