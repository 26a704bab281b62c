/** Values of a data set in the DICOM JSON model (PS3.18 annex F). */

export interface Element {
  vr?: string;
  Value?: unknown[];
  InlineBinary?: string;
  BulkDataURI?: string;
}
export type DataSet = Record<string, Element>;

/** The first value as text; of a name, the first of its representations. */
export const text = (set: DataSet | undefined, tag: string): string => words(set?.[tag]?.Value?.[0]);

/** A value as text. */
export function words(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') {
    const name = value as { Alphabetic?: string; Ideographic?: string; Phonetic?: string };
    return name.Alphabetic ?? name.Ideographic ?? name.Phonetic ?? '';
  }
  return String(value).trim();
}

export const numbers = (set: DataSet | undefined, tag: string): number[] => (set?.[tag]?.Value ?? []).map(Number).filter(value => Number.isFinite(value));

export const number = (set: DataSet | undefined, tag: string): number | undefined => numbers(set, tag)[0];

/** The items of a sequence. */
export const items = (set: DataSet | undefined, tag: string): DataSet[] => (set?.[tag]?.Value ?? []).filter(value => value !== null && typeof value === 'object') as DataSet[];

/** Bytes that stand in the data set itself. */
export function inlineBytes(set: DataSet, tag: string): Uint8Array<ArrayBuffer> | undefined {
  const binary = set[tag]?.InlineBinary;
  return binary === undefined ? undefined : Uint8Array.from(atob(binary), character => character.charCodeAt(0));
}

/** FAMILY^GIVEN^MIDDLE becomes "FAMILY, GIVEN MIDDLE". */
export function personName(value: string): string {
  const [family, ...rest] = value.split('^').map(part => part.trim());
  return [family, rest.slice(0, 2).filter(Boolean).join(' ')].filter(Boolean).join(', ');
}

/** 20260131 becomes 2026-01-31. */
export function date(value: string): string {
  const parts = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value);
  return parts ? `${parts[1]}-${parts[2]}-${parts[3]}` : value;
}
