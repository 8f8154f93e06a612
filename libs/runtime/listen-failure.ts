import type { Address } from './variable.ts';

/**
 * Says why an address cannot be listened on, and which variable to change. Undefined for an error that is about
 * something else.
 * @param config the addresses in it have names that end in `_ADDR`
 */
export function listenFailure(error: unknown, config: object): string | undefined {
  // Node leaves out port 0.
  const {
    code,
    syscall,
    address,
    port = 0,
    hostname,
  } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
    hostname?: string;
  };
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return undefined;
  const variables = Object.entries(config).filter(([name, value]) => {
    if (!name.endsWith('_ADDR')) return false;
    const configured = value as Address;
    return hostname === undefined ? configured.port === port : configured.host === hostname;
  });
  const variable = variables.map(([name]) => name).join(' or ');
  switch (code) {
    case 'EADDRINUSE':
      if (variables.length > 1)
        return `${variable.replaceAll(' or ', ' and ')} name the same port ${port}: change one of them`;
      return `Port ${port} is already in use: stop the other process or set ${variable}`;
    case 'EACCES':
      return `Port ${port} needs privileges that this process does not have: set ${variable} to a port above 1023`;
    case 'EADDRNOTAVAIL':
      return `This machine does not have the address ${address}: set ${variable} to one that it has, or to :${port} for all`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The host name "${hostname}" cannot be resolved: set ${variable} to an address of this machine, such as 127.0.0.1:8080 or :8080`;
    default:
      return `Cannot listen on port ${port} (${code}): check ${variable}`;
  }
}
