import { account, nodeId, stableId } from './account.ts';

/** What an App or a token may do: the name of a permission to its level, `read` or `write`. */
export type Permissions = Readonly<Record<string, string>>;

/** Enough for `repository_dispatch`. */
const PERMISSIONS: Permissions = { contents: 'write', metadata: 'read' };

/** What the App may do wherever it is installed, apart from dispatching. */
export function appPermissions(
  granted: Readonly<Record<'actions' | 'administration', 'read' | 'none'>>,
): Permissions {
  const given = Object.entries(granted).filter(([, level]) => level !== 'none');
  return { ...Object.fromEntries(given), ...PERMISSIONS };
}

/** Whether a permission held at the level `granted` includes the level `asked`. */
export function grants(granted: string | undefined, asked: string): boolean {
  return granted === asked || (granted === 'write' && asked === 'read');
}

export interface Installation {
  readonly id: number;
  /** The owner's name in the spelling it is known by. */
  readonly owner: string;
}

/**
 * Where the App is installed. Given `owners` (name → installation id) exactly there; without, at any owner
 * asked for, with an id that is the same after every start. Owners compare without regard to case.
 */
export class Installations {
  readonly #byOwner = new Map<string, Installation>();
  readonly #byId = new Map<number, Installation>();
  readonly #anyOwner: boolean;
  #suspended: ReadonlyMap<string, number> = new Map();
  #notInstalled: ReadonlySet<string> = new Set();

  constructor(owners?: Readonly<Record<string, number>>) {
    this.#anyOwner = owners === undefined;
    for (const [owner, id] of Object.entries(owners ?? {})) this.#add({ id, owner });
  }

  /** The owner's installation, or undefined where the App is not installed. */
  of(owner: string): Installation | undefined {
    const key = owner.toLowerCase();
    if (this.#notInstalled.has(key)) return undefined;
    const known = this.#byOwner.get(key);
    if (known || !this.#anyOwner) return known;
    return this.#add({ id: stableId(`installation:${key}`), owner });
  }

  /** As {@link of}, by id. Where any owner is installed, an id exists once its owner has been asked for. */
  withId(id: number): Installation | undefined {
    const known = this.#byId.get(id);
    return known && this.of(known.owner);
  }

  /** When the installation was suspended, in epoch milliseconds; null where it is not. */
  suspendedAt(installation: Installation): number | null {
    return this.#suspended.get(installation.owner.toLowerCase()) ?? null;
  }

  /** Replaces what was suspended or taken away before. */
  restrict(suspended: readonly string[], notInstalled: readonly string[], nowMs: number): void {
    this.#suspended = new Map(suspended.map(owner => [owner.toLowerCase(), nowMs]));
    this.#notInstalled = new Set(notInstalled.map(owner => owner.toLowerCase()));
  }

  #add(installation: Installation): Installation {
    this.#byOwner.set(installation.owner.toLowerCase(), installation);
    this.#byId.set(installation.id, installation);
    return installation;
  }
}

interface AppFacts {
  readonly appId: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly permissions: Permissions;
  /** The base URL of this API. */
  readonly api: string;
}

/** The answer of `GET /app`. */
export function appResource({ appId, createdAt, permissions, api }: AppFacts) {
  const at = new Date(createdAt).toISOString();
  return {
    id: Number(appId),
    slug: 'flux-dispatch',
    node_id: nodeId(`App:${appId}`),
    client_id: `Iv23${nodeId(appId)}`,
    owner: account('flux-dispatch', api),
    name: 'flux-dispatch',
    description: 'Dispatches Flux events to repositories.',
    external_url: 'https://github.com/apps/flux-dispatch',
    html_url: 'https://github.com/apps/flux-dispatch',
    created_at: at,
    updated_at: at,
    permissions,
    events: [],
  };
}

/** The answer of the three `…/installation` look-ups. @param suspendedAt epoch milliseconds */
export function installationResource(
  { id, owner }: Installation,
  { appId, createdAt, permissions, api, suspendedAt }: AppFacts & { readonly suspendedAt: number | null },
) {
  const at = new Date(createdAt).toISOString();
  const holder = account(owner, api);
  return {
    id,
    client_id: `Iv23${nodeId(appId)}`,
    account: holder,
    repository_selection: 'all',
    access_tokens_url: `${api}/app/installations/${id}/access_tokens`,
    repositories_url: `${api}/installation/repositories`,
    html_url: `https://github.com/organizations/${owner}/settings/installations/${id}`,
    app_id: Number(appId),
    app_slug: 'flux-dispatch',
    target_id: holder.id,
    target_type: 'Organization',
    permissions,
    events: [],
    created_at: at,
    updated_at: at,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: suspendedAt === null ? null : account(`${owner}-admin`, api),
    suspended_at: suspendedAt === null ? null : new Date(suspendedAt).toISOString(),
  };
}
