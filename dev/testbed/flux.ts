import { createHash } from 'node:crypto';
import { SIGNATURE_HEADER, sign } from '@flux-dispatch/event/signature';

export interface EventOptions {
  readonly kind?: 'Kustomization' | 'HelmRelease';
  readonly namespace?: string;
  readonly name?: string;
  readonly severity?: 'info' | 'error';
  readonly reason?: string;
  readonly message?: string;
  /** null: none. */
  readonly timestamp?: Date | null;
  /** Default: the same for the same object. */
  readonly uid?: string;
  /** Revision, and what the Alert has as its eventMetadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** An event as notification-controller posts it, as bytes: a successful reconcile of an OCI artifact unless told otherwise. */
export function fluxEvent({
  kind = 'Kustomization',
  namespace = 'product-dialogporten',
  name = 'dialogporten-apps',
  severity = 'info',
  reason = 'ReconciliationSucceeded',
  message = 'Reconciliation finished in 1.842s, next run in 10m0s',
  timestamp = new Date(),
  uid = uidOf(`${kind}/${namespace}/${name}`),
  metadata = {},
}: EventOptions = {}): Buffer {
  const group = kind === 'HelmRelease' ? 'helm' : 'kustomize';
  const controller = `${group}-controller`;
  const event = {
    involvedObject: {
      kind,
      namespace,
      name,
      uid,
      apiVersion: `${group}.toolkit.fluxcd.io/${kind === 'HelmRelease' ? 'v2' : 'v1'}`,
      resourceVersion: '184467',
    },
    severity,
    // Kubernetes' times are whole seconds.
    ...(timestamp && { timestamp: timestamp.toISOString().replace(/\.\d+Z$/, 'Z') }),
    message,
    reason,
    metadata: Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))),
    reportingController: controller,
    reportingInstance: `${controller}-7b7b47f459-jj8kq`,
  };
  // Go's encoder escapes what could end a script element.
  const escapes: Record<string, string> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' };
  return Buffer.from(JSON.stringify(event).replace(/[<>&]/g, character => escapes[character] ?? character));
}

/** Kubernetes gives an object a uid of its own, which it keeps. */
function uidOf(object: string): string {
  const digits = createHash('sha256').update(object).digest('hex').slice(0, 32);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The revision of an OCI artifact whose content is `content`. */
export function ociRevision(tag: string, content: string): string {
  return `${tag}@sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** The commit in which somebody wrote `content`. */
export function commitSha(content: string): string {
  return createHash('sha1').update(content).digest('hex');
}

export interface IngestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly outcome: string;
    readonly message?: string;
    readonly dispatch_id?: string;
    readonly dispatches?: readonly { repo: string; outcome: string; dispatch_id: string }[];
  };
}

/** Posts an event once, signed as a `generic-hmac` Provider with this token does. @throws when there is no answer */
export function postEvent(url: string, body: Buffer, token: string): Promise<IngestAnswer> {
  return postSigned(url, body, sign(body, Buffer.from(token)));
}

/** Posts a body with a signature that is already there. */
export async function postSigned(url: string, body: Buffer, signature: string): Promise<IngestAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'Gotk-Component': 'kustomize-controller',
      [SIGNATURE_HEADER]: signature,
    },
    body: new Uint8Array(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as IngestAnswer['body'],
  };
}
