/**
 * The value of a metric at `GET /metrics`: the sum over its series that have these labels, whatever their others are;
 * 0 where there is none.
 */
export async function readMetric(
  opsUrl: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split('\n')
    .map(line => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter(series => series?.[1] === name && wanted.every(label => series[2]?.split(',').includes(label)))
    .reduce((sum, series) => sum + Number(series?.[3]), 0);
}
