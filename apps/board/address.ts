import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';

type Address = ReturnType<typeof ipaddr.process>;

/** An address and how many of its first bits count. */
export type Network = readonly [Address, bits: number];

/** Parses addresses and networks in CIDR notation, separated by commas. Returns undefined where one is neither. */
export function parseNetworks(value: string): Network[] | undefined {
  const networks = value.split(',').map(entry => parseNetwork(entry.trim()));
  return networks.every(network => network !== undefined) ? networks : undefined;
}

function parseNetwork(entry: string): Network | undefined {
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(entry) || ipaddr.IPv6.isValidCIDR(entry))
    return ipaddr.parseCIDR(entry);
  const address = parseAddress(entry);
  return address && [address, address.toByteArray().length * 8];
}

/** An IPv4 address that is written as an IPv6 one, as a dual-stack socket does, is the IPv4 address. */
function parseAddress(text: string): Address | undefined {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)
    ? ipaddr.process(text)
    : undefined;
}

export function isLoopback(host: string | undefined): boolean {
  return host === 'localhost' || (host !== undefined && parseAddress(host)?.range() === 'loopback');
}

export function isAmong(networks: readonly Network[], address: string): boolean {
  const parsed = parseAddress(address);
  return networks.some(
    ([network, bits]) => parsed?.kind() === network.kind() && parsed.match([network, bits]),
  );
}

/**
 * Who sent a request: the address of the connection, and where that is a trusted proxy whom it names last in
 * `X-Forwarded-For`, and so on. What stands before somebody who is no proxy is only what that one says, and where a proxy
 * names no address, as in `unknown`, it stands for its client itself.
 */
export function clientAddress(
  { socket, headers }: Pick<IncomingMessage, 'headers'> & { socket: { remoteAddress?: string | undefined } },
  trusted: readonly Network[],
): string {
  let client = socket.remoteAddress ?? '';
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().join().split(',');
  for (const hop of forwarded.reverse()) {
    const address = withoutPort(hop.trim());
    if (!isAmong(trusted, client) || parseAddress(address) === undefined) break;
    client = address;
  }
  return client;
}

/** Some proxies name the port of the connection as well: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const [, ipv6, ipv4] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/.exec(hop) ?? [];
  return ipv6 ?? ipv4 ?? hop;
}

/** What stands for one client: an IPv4 address, or the /64 from which an IPv6 client can have any address it likes. */
export function clientKey(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === undefined) return 'unknown';
  return Buffer.from(parsed.toByteArray().slice(0, 8)).toString('hex');
}
