/** A `repository_dispatch` that was accepted. */
export interface ReceivedDispatch {
  /** Counts up from 1 and starts over when the dispatches are cleared. */
  readonly id: number;
  /** ISO 8601 with milliseconds. */
  readonly receivedAt: string;
  readonly owner: string;
  readonly repo: string;
  readonly event_type: string;
  readonly client_payload: Readonly<Record<string, unknown>>;
  /** What it was answered with, also where a fault cut the connection before the answer. */
  readonly status: 204;
}

type Checked =
  | { readonly valid: true; readonly event_type: string; readonly client_payload: Record<string, unknown> }
  | { readonly valid: false; readonly message: string };

const MAX_EVENT_TYPE = 100;
const MAX_PROPERTIES = 10;
const MAX_PAYLOAD_BYTES = 64 * 1024;

/**
 * GitHub's validation of `POST /repos/{owner}/{repo}/dispatches`, or the message of its 422.
 * https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
 */
export function checkDispatch(body: unknown): Checked {
  if (!isObject(body)) return invalid(`For 'links/0/schema', ${inspect(body)} is not an object.`);

  const { event_type, client_payload = {}, ...others } = body;
  const [other] = Object.keys(others);
  if (other !== undefined) return invalid(`"${other}" is not a permitted key.`);

  if (event_type === undefined) return invalid(`"event_type" wasn't supplied.`);
  if (typeof event_type !== 'string') {
    return invalid(`For 'properties/event_type', ${inspect(event_type)} is not a string.`);
  }
  const length = [...event_type].length; // GitHub counts characters, not UTF-16 units
  if (length === 0) return invalid('At least 1 character is required; only 0 were supplied.');
  if (length > MAX_EVENT_TYPE) {
    return invalid(`Only ${MAX_EVENT_TYPE} characters are allowed; ${length} were supplied.`);
  }

  if (!isObject(client_payload)) {
    return invalid(`For 'properties/client_payload', ${inspect(client_payload)} is not an object.`);
  }
  const properties = Object.keys(client_payload).length;
  if (properties > MAX_PROPERTIES) {
    return invalid(`No more than ${MAX_PROPERTIES} properties are allowed; ${properties} were supplied.`);
  }
  if (Buffer.byteLength(JSON.stringify(client_payload)) >= MAX_PAYLOAD_BYTES) {
    return { valid: false, message: 'client_payload is too large.' };
  }
  return { valid: true, event_type, client_payload };
}

function invalid(reason: string): Checked {
  return { valid: false, message: `Invalid request.\n\n${reason}` };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** GitHub is written in Ruby, and so are its messages. */
function inspect(value: unknown): string {
  return value === undefined || value === null ? 'nil' : JSON.stringify(value).slice(0, 200);
}
