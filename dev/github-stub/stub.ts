import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa, { type Middleware } from 'koa';
import { actionsSchema, type ParsedActionsSettings } from './actions-settings.ts';
import { adminRouter, type StubControls } from './admin.ts';
import { type Caller, type RequestState, refuse, setLimitHeaders } from './answer.ts';
import { checkAppJwt, InstallationTokens, JWT_UNREADABLE, parsePublicKeys } from './app-auth.ts';
import { answerConditionally } from './conditional.ts';
import type { ReceivedDispatch } from './dispatch.ts';
import { FaultRules, injectFaults } from './faults.ts';
import { githubRouter } from './github.ts';
import { appPermissions, Installations } from './installations.ts';
import { NumberedLog } from './numbered-log.ts';
import { PrimaryLimit, SecondaryLimit } from './rate-limit.ts';
import { RenamedRepositories } from './renamed.ts';
import { Repositories } from './repositories.ts';
import { Runs } from './runs.ts';

const MAX_DISPATCHES = 50_000;

const DOCS_RATE_LIMIT = 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api';
const DOCS_SECONDARY_LIMIT = `${DOCS_RATE_LIMIT}#about-secondary-rate-limits`;

export interface GitHubStubOptions {
  /** The App's id: digits. */
  readonly appId: string | number;
  /** The App's public keys in PEM: RSA, one or more. */
  readonly publicKeys: readonly string[];
  /** How long an installation token lives, in milliseconds; unless given an hour, as at GitHub. */
  readonly tokenTtlMs?: number;
  /** Where the App is installed, owner to installation id. Unless given, at any owner, with an id of its own. */
  readonly owners?: Readonly<Record<string, number>>;
  /** The clock, in epoch milliseconds. */
  readonly now?: () => number;
  /** Once aborted, injected latency waits no longer. */
  readonly closing?: AbortSignal;
}

export interface GitHubStub extends StubControls {
  readonly app: Koa<RequestState>;
}

export interface RunningGitHubStub extends GitHubStub, AsyncDisposable {
  /** What Octokit takes as `baseUrl`. */
  readonly url: string;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/**
 * A stand-in for what a GitHub App that sends `repository_dispatch` uses of GitHub's REST API, as a Koa app that does
 * not listen yet. Throws a TypeError where the App id or a key is not one.
 */
function createGitHubStub({
  tokenTtlMs = 3_600_000,
  now = Date.now,
  closing = new AbortController().signal,
  ...options
}: GitHubStubOptions): GitHubStub {
  const appId = String(options.appId);
  if (!/^\d+$/.test(appId)) throw new TypeError(`appId must be the App's number, not "${appId}"`);
  let keys = parsePublicKeys(options.publicKeys);
  const installations = new Installations(options.owners);
  const tokens = new InstallationTokens();
  const dispatches = new NumberedLog<Omit<ReceivedDispatch, 'id'>>(MAX_DISPATCHES);
  const runs = new Runs();
  let permissions = permissionsFor(actionsSchema.parse({}));
  const requests = new Map<string, number>();
  const faults = new FaultRules();
  const rateLimit = new PrimaryLimit();
  const secondaryLimit = new SecondaryLimit();
  const repositories = new Repositories();
  const renamed = new RenamedRepositories();

  const stub: GitHubStub = {
    app: new Koa<RequestState>(),
    dispatches: dispatches.entries,
    get received() {
      return dispatches.received;
    },
    get runs() {
      return runs.list(now());
    },
    requests,
    clear: () => {
      stub.clearDispatches();
      requests.clear();
      stub.setFaults([]);
      stub.setSecondaryLimit({ enabled: false });
      stub.setRateLimit({});
      stub.setRepositories({});
      stub.setInstallations({});
      stub.setActions({});
    },
    clearDispatches: () => {
      dispatches.clear();
      runs.clear();
    },
    faults: () => faults.list(),
    setFaults: rules => faults.set(rules),
    setKeys: pems => {
      keys = parsePublicKeys(pems);
    },
    revokeTokens: () => tokens.revokeAll(),
    setSecondaryLimit: settings => secondaryLimit.configure(settings),
    setRateLimit: settings => rateLimit.configure(settings),
    setRepositories: settings => {
      repositories.setAbsent(settings.absent ?? []);
      renamed.set(settings.renamed ?? {});
    },
    setInstallations: ({ suspended = [], notInstalled = [] }) =>
      installations.restrict(suspended, notInstalled, now()),
    setActions: settings => {
      const actions = actionsSchema.parse(settings);
      permissions = permissionsFor(actions);
      repositories.configure(actions);
      runs.restartTurns();
    },
  };

  const createdAt = now();
  const github = githubRouter({
    ...{ appId, createdAt, tokenTtlMs, now },
    ...{ installations, repositories, tokens, dispatches, runs },
    permissions: () => permissions,
  });

  async function identify(authorization: string): Promise<Caller> {
    const [, scheme = '', credential = ''] = /^(bearer|token) +(\S+)$/i.exec(authorization) ?? [];
    if (credential.startsWith('ghs_')) {
      const grant = tokens.find(credential, now());
      // A token dies with the installation that it was issued for.
      if (grant && installations.of(grant.installation.owner)) return { kind: 'installation', grant };
    } else if (scheme.toLowerCase() === 'bearer') {
      const verdict = await checkAppJwt(credential, appId, keys, now());
      return verdict.valid ? { kind: 'app' } : { kind: 'stranger', message: verdict.message };
    }
    return { kind: 'stranger', message: JWT_UNREADABLE };
  }

  const countRequest: Middleware<RequestState> = async (ctx, next) => {
    let outcome: number | string = 'aborted'; // by the client, in the middle of its request
    try {
      await next();
      outcome = ctx.state.dropped ? 'dropped' : ctx.status;
    } finally {
      const layer = github.match(ctx.path, ctx.method).pathAndMethod.at(-1);
      const route = layer ? routeName(String(layer.path)) : '(unknown)';
      const request = `${ctx.method} ${route} ${outcome}`;
      requests.set(request, (requests.get(request) ?? 0) + 1);
    }
  };

  const introduce: Middleware<RequestState> = async (ctx, next) => {
    const caller = await identify(ctx.get('authorization'));
    const account =
      caller.kind === 'installation' ? `installation ID ${caller.grant.installation.id}` : caller.kind;
    const count = rateLimit.count(account, now());
    Object.assign(ctx.state, { caller, account, rateLimit: count });
    ctx.set({
      // A client whose clock is off reads the right time from here.
      date: new Date(now()).toUTCString(),
      'x-github-request-id': randomBytes(16)
        .toString('hex')
        .toUpperCase()
        .replace(/^(.{4})(.{6})(.{7})(.{7})/, '$1:$2:$3:$4:'),
    });
    setLimitHeaders(ctx, count);
    await next();
  };

  const requireUserAgent: Middleware<RequestState> = async (ctx, next) => {
    if (ctx.get('user-agent')) return next();
    ctx.status = 403;
    ctx.body =
      'Request forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check https://developer.github.com for other possible causes.\n';
  };

  const enforceLimits: Middleware<RequestState> = async (ctx, next) => {
    const { account } = ctx.state;
    if (ctx.state.rateLimit.exceeded) {
      return refuse(ctx, 403, `API rate limit exceeded for ${account}.`, DOCS_RATE_LIMIT);
    }
    const refusal = secondaryLimit.spend(account, ctx.method, now());
    if (!refusal) return next();
    ctx.set('retry-after', String(refusal.retryAfterSeconds));
    const message =
      'You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID';
    refuse(ctx, 403, `${message} ${ctx.response.get('x-github-request-id')}.`, DOCS_SECONDARY_LIMIT);
  };

  stub.app
    .use(adminRouter(stub).routes())
    .use(countRequest)
    .use(introduce)
    .use(requireUserAgent)
    .use(injectFaults(faults, closing))
    .use(enforceLimits)
    .use(renamed.redirects())
    .use(answerConditionally(rateLimit))
    .use(github.routes())
    .use(ctx => refuse(ctx, 404, 'Not Found'));
  return stub;
}

function permissionsFor({ permission, administration }: ParsedActionsSettings) {
  return appPermissions({ actions: permission, administration });
}

/** A path of the router as GitHub's documentation writes it: `/repos/{owner}/{repo}/contents/{path}`. */
function routeName(path: string): string {
  return path.replace(/\{\/\*(\w+)\}/, '/{$1}').replace(/:(\w+)/g, '{$1}');
}

/** {@link createGitHubStub}, listening on 127.0.0.1 at a free port unless told otherwise. Rejects where it cannot. */
export async function startGitHubStub({
  host = '127.0.0.1',
  port = 0,
  ...options
}: Omit<GitHubStubOptions, 'closing'> & {
  readonly host?: string;
  readonly port?: number;
}): Promise<RunningGitHubStub> {
  const closing = new AbortController();
  const stub = createGitHubStub({ ...options, closing: closing.signal });
  const server = createServer(stub.app.callback()).listen(port, host);
  // A client on a busy machine may use a connection again that it has left for some seconds.
  server.keepAliveTimeout = 65_000;
  await once(server, 'listening');

  const { address, family, port: bound } = server.address() as AddressInfo;
  // A wildcard is where to listen, not where to call.
  const wildcards: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const reachable = wildcards[address] ?? address;
  const close = async () => {
    closing.abort();
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return Object.assign(stub, {
    url: `http://${family === 'IPv6' ? `[${reachable}]` : reachable}:${bound}`,
    close,
    [Symbol.asyncDispose]: close,
  });
}
