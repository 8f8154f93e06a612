import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const DASHBOARD = join(import.meta.dirname, '../../helm/files/dashboard.json');

/** Of Grafana's dashboard, what the tests look at. */
export interface Dashboard {
  readonly uid: string;
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly Panel[];
}

export type Variable =
  | { readonly type: 'datasource'; readonly name: string }
  | { readonly type: 'constant'; readonly name: string; readonly query: string }
  | {
      readonly type: 'query';
      readonly name: string;
      readonly query: { readonly query: string };
      readonly regex: string;
    };

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly links?: readonly { readonly url: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string;
      readonly thresholds?: Thresholds;
      readonly mappings?: readonly Mapping[];
    };
    readonly overrides: readonly {
      readonly matcher: { readonly id: string; readonly options: string };
      readonly properties: readonly { readonly id: string; readonly value: unknown }[];
    }[];
  };
}

export interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

/** What stands for a value. */
interface Mapping {
  readonly type: string;
  readonly options: Readonly<Record<string, { readonly text: string; readonly color?: string }>>;
}

interface Thresholds {
  readonly steps: readonly { readonly color: string; readonly value: number | null }[];
}

export async function readDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(DASHBOARD, 'utf8'));
}

/** The thresholds of what a query shows: those of its name where it has its own, else the panel's. */
export function thresholdsOf({ fieldConfig }: Panel, { legendFormat }: Target): Thresholds['steps'] {
  const own = fieldConfig?.overrides
    .filter(({ matcher }) => matcher.id === 'byName' && matcher.options === legendFormat)
    .flatMap(({ properties }) => properties)
    .find(({ id }) => id === 'thresholds')?.value as Thresholds | undefined;
  return (own ?? fieldConfig?.defaults.thresholds)?.steps ?? [];
}

/** Puts the values of variables into a query, as Grafana does. One that has none stays. */
export function interpolate(query: string, values: Readonly<Record<string, string>>): string {
  return query.replaceAll(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (variable, braced, plain) => values[braced ?? plain] ?? variable,
  );
}
