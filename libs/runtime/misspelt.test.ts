import { describe, expect, test } from 'vitest';
import { findMisspelt } from './misspelt.ts';

const VARIABLES = [
  ...[
    'REDIS_URL',
    'REDIS_PASSWORD_PATH',
    'REDIS_CA_PATH',
    'REDIS_WAIT_REPLICAS',
    'QUEUE_PREFIX',
    'METRICS_ADDR',
  ],
  ...['LOG_LEVEL', 'SHUTDOWN_TIMEOUT', 'LISTEN_ADDR', 'HMAC_TOKEN_PATH', 'ALLOW_UNSIGNED', 'ALLOWED_OWNERS'],
  ...['REJECT_STATUS', 'DEFAULT_DISPATCH_EVENT', 'SUCCESS_REASONS', 'FAILURE_REASONS', 'MAX_BODY_BYTES'],
  ...['DEDUP_TTL', 'DEDUP_MAX_ENTRIES', 'RATE_LIMIT_INTERVAL', 'QUEUE_TIMEOUT', 'GITHUB_APP_ID'],
  ...['GITHUB_PRIVATE_KEY_PATH', 'GITHUB_INSTALLATION_ID', 'GITHUB_API_URL', 'DISPATCH_CONCURRENCY'],
  ...[
    'DISPATCH_TIMEOUT',
    'DISPATCH_RETRY_WINDOW',
    'DISPATCH_RATE',
    'DEAD_LETTER_COOLDOWN',
    'DEAD_LETTER_RETENTION',
  ],
  ...['DRY_RUN', 'BOARD_ADDR', 'BOARD_AUTH', 'BOARD_USERNAME', 'BOARD_PASSWORD_PATH', 'BOARD_READ_ONLY'],
  ...['BOARD_PROXY_USER_HEADER', 'BOARD_TRUSTED_PROXIES'],
];

describe('a misspelling', () => {
  test.each([
    // A letter that is wrong, missing, one too many, or in another place.
    ['DEDUP_TLL', 'DEDUP_TTL'],
    ['DEDPU_TTL', 'DEDUP_TTL'],
    ['DEDUP_TL', 'DEDUP_TTL'],
    ['DEDUP_TTLL', 'DEDUP_TTL'],
    ['REDIS_ULR', 'REDIS_URL'],
    ['REDSI_URL', 'REDIS_URL'],
    ['REDDIS_URL', 'REDIS_URL'],
    ['LISTEN_ADR', 'LISTEN_ADDR'],
    ['LITSEN_ADDR', 'LISTEN_ADDR'],
    ['METRICS_ADDDR', 'METRICS_ADDR'],
    ['ALLOW_UNSINGED', 'ALLOW_UNSIGNED'],
    ['GITHUB_INSTALATION_ID', 'GITHUB_INSTALLATION_ID'],
    ['GTIHUB_APP_ID', 'GITHUB_APP_ID'],
    ['GITHUB_APPP_ID', 'GITHUB_APP_ID'],
    ['DISPACH_RATE', 'DISPATCH_RATE'],
    ['DISPATCH_CONCURENCY', 'DISPATCH_CONCURRENCY'],
    ['SHUTDOWN_TIMOUT', 'SHUTDOWN_TIMEOUT'],
    ['SHUTODWN_TIMEOUT', 'SHUTDOWN_TIMEOUT'],
    ['DEAD_LETTER_RETENTON', 'DEAD_LETTER_RETENTION'],
    ['REDIS_PASSWD_PATH', 'REDIS_PASSWORD_PATH'],
    ['LOG_LEVLE', 'LOG_LEVEL'],
    ['DRY_RNU', 'DRY_RUN'],
    // Singular and plural.
    ['METRIC_ADDR', 'METRICS_ADDR'],
    ['ALLOWED_OWNER', 'ALLOWED_OWNERS'],
    ['SUCCESS_REASON', 'SUCCESS_REASONS'],
    ['MAX_BODY_BYTE', 'MAX_BODY_BYTES'],
    ['DISPATCH_TIMEOUTS', 'DISPATCH_TIMEOUT'],
    // Underscores.
    ['REDISURL', 'REDIS_URL'],
    ['DEADLETTER_COOLDOWN', 'DEAD_LETTER_COOLDOWN'],
    ['GIT_HUB_APP_ID', 'GITHUB_APP_ID'],
    ['DEDUP__TTL', 'DEDUP_TTL'],
    ['DRYRUN', 'DRY_RUN'],
    ['DEDUP-TTL', 'DEDUP_TTL'],
    // Case.
    ['redis_url', 'REDIS_URL'],
    ['Dry_Run', 'DRY_RUN'],
    ['dedupTtl', 'DEDUP_TTL'],
    ['dedup_tll', 'DEDUP_TTL'],
  ])('%s: did you mean %s?', (name, meant) => {
    expect(findMisspelt([name], VARIABLES)).toEqual([{ name, meant }]);
  });
});

describe('the name of something else', () => {
  test.each([
    // Of the system, the shell and Node.js.
    ...[
      'PATH',
      'HOME',
      'HOSTNAME',
      'USER',
      'SHELL',
      'TERM',
      'TZ',
      'LANG',
      'LC_ALL',
      'PWD',
      'SHLVL',
      'TMPDIR',
      '_',
    ],
    ...[
      'NODE_ENV',
      'NODE_OPTIONS',
      'NODE_EXTRA_CA_CERTS',
      'NODE_VERSION',
      'UV_THREADPOOL_SIZE',
      'NO_COLOR',
      'DEBUG',
    ],
    ...['npm_config_loglevel', 'npm_lifecycle_event', 'npm_package_name', 'INIT_CWD', 'SSL_CERT_FILE'],
    ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
    // Of Kubernetes, its links to Services, and those of Docker.
    ...[
      'KUBERNETES_SERVICE_HOST',
      'KUBERNETES_SERVICE_PORT',
      'KUBERNETES_PORT',
      'KUBERNETES_PORT_443_TCP_ADDR',
    ],
    ...[
      'REDIS_SERVICE_HOST',
      'REDIS_SERVICE_PORT',
      'REDIS_PORT',
      'REDIS_PORT_6379_TCP',
      'REDIS_PORT_6379_TCP_ADDR',
    ],
    ...[
      'BOARD_PORT',
      'BOARD_SERVICE_HOST',
      'BOARD_PORT_3000_TCP_ADDR',
      'DISPATCH_PORT',
      'DISPATCHER_SERVICE_HOST',
    ],
    ...['QUEUE_PORT', 'METRICS_PORT', 'METRICS_SERVICE_HOST', 'REDIS_NAME', 'REDIS_ENV_REDIS_VERSION'],
    ...['POD_NAME', 'POD_NAMESPACE', 'POD_IP', 'NODE_NAME', 'MEM_LIMIT', 'CPU_LIMIT', 'GOMAXPROCS'],
    // Of other programs in the same pod or compose file.
    ...[
      'REDIS_URI',
      'REDIS_HOST',
      'REDIS_PASSWORD',
      'REDIS_USER',
      'REDIS_USERNAME',
      'REDIS_TLS_URL',
      'REDIS_TTL',
    ],
    ...['REDIS_SSL', 'REDIS_DB', 'REDIS_KEY_PATH', 'REDIS_CERT_PATH', 'REDIS_CA_FILE', 'REDIS_DATA_PATH'],
    ...[
      'REDIS_URL_2',
      'REDIS_URL2',
      'MY_REDIS_URL',
      'CELERY_REDIS_URL',
      'X_QUEUE_TIMEOUT',
      'DB_QUEUE_PREFIX',
    ],
    ...['LOGLEVEL', 'log_level', 'LOG_FORMAT', 'LOG_FILE', 'RUST_LOG', 'OTEL_LOG_LEVEL'],
    ...[
      'ALLOWED_HOSTS',
      'ALLOWED_USERS',
      'ALLOWED_ORIGINS',
      'MAX_BODY_SIZE',
      'QUEUE_URL',
      'REJECT_UNAUTHORIZED',
    ],
    ...[
      'RATE_LIMIT',
      'RATE_LIMIT_MAX',
      'RATE_LIMIT_WINDOW',
      'DRY',
      'RUN',
      'HMAC_KEY_PATH',
      'HMAC_SECRET_PATH',
    ],
    ...[
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'OTEL_SERVICE_NAME',
      'DD_AGENT_HOST',
      'DD_ENV',
      'SENTRY_DSN',
      'AWS_REGION',
    ],
    // Of GitHub Actions, which sets GITHUB_API_URL as well.
    ...[
      'GITHUB_ACTIONS',
      'GITHUB_ACTOR_ID',
      'GITHUB_APP_URL',
      'GITHUB_ENV',
      'GITHUB_GRAPHQL_URL',
      'GITHUB_JOB',
    ],
    ...['GITHUB_REPOSITORY_ID', 'GITHUB_RUN_ID', 'GITHUB_SERVER_URL', 'GITHUB_TOKEN', 'CI', 'RUNNER_OS'],
    // What docker-compose.yml and the stand-in for GitHub have.
    ...['HMAC_TOKEN', 'BOARD_PASSWORD', 'CREDENTIALS_PATH', 'GITHUB_KEY_PATH', 'EVENTS_URL', 'BUILD_NETWORK'],
  ])('%s', name => {
    expect(findMisspelt([name], VARIABLES)).toEqual([]);
  });

  test('is not one of our own variables', () => {
    for (const name of VARIABLES) {
      expect(
        findMisspelt(
          VARIABLES,
          VARIABLES.filter(variable => variable !== name),
        ),
      ).toEqual([]);
    }
  });
});
