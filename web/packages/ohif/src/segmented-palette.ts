/**
 * Segmented palettes for OHIF 3.13, which looks for plain ones only and shows no image at all.
 *
 * The module is answered with tables that Cornerstone3D understands: values if they stand in the metadata, else promises of them, as
 * OHIF gives for plain tables that come by reference. Metadata and instances stay as they are stored.
 */
import { expandPalette, type Descriptor, type Palette } from './expand-palette.ts';
import type { Cornerstone } from './host.ts';

type Instance = Record<string, unknown>;

/** A binary value as OHIF keeps it. */
interface Binary {
  InlineBinary?: string;
  retrieveBulkData?: () => Promise<unknown>;
}

const COLOURS = ['Red', 'Green', 'Blue'] as const;

/** Adds a metadata provider before those of OHIF. Its own question to the others passes by itself. */
export function provideSegmentedPalettes(cornerstone: Pick<Cornerstone, 'metaData'>): () => void {
  const known = new WeakMap<Instance, Palette | Promise<Palette>>();
  let asking = false;
  const provider = (type: string, imageId: string) => {
    if (type !== 'imagePixelModule' || asking) return undefined;
    asking = true;
    try {
      const module = cornerstone.metaData.get(type, imageId);
      if (module?.photometricInterpretation !== 'PALETTE COLOR' || module.redPaletteColorLookupTableData) return undefined;
      const instance = cornerstone.metaData.get('instance', imageId);
      if (!instance?.SegmentedRedPaletteColorLookupTableData) return undefined;
      let palette = known.get(instance);
      if (!palette) {
        palette = read(instance);
        if (!palette) return undefined;
        known.set(instance, palette);
        if (palette instanceof Promise) void palette.then(done => known.set(instance, done), () => known.delete(instance));
      }
      return { ...module, ...tables(instance, palette) };
    } finally {
      asking = false;
    }
  };
  cornerstone.metaData.addProvider(provider, 10_000);
  return () => cornerstone.metaData.removeProvider(provider);
}

function read(instance: Instance): Palette | Promise<Palette> | undefined {
  const values = COLOURS.map(colour => bytes(instance[`Segmented${colour}PaletteColorLookupTableData`]));
  const [red, green, blue] = values;
  if (!red || !green || !blue) return undefined;
  if (red instanceof Uint8Array && green instanceof Uint8Array && blue instanceof Uint8Array) {
    return expandPalette(descriptor(instance), [red, green, blue]) ?? undefined;
  }
  return Promise.all([red, green, blue]).then(data => {
    const palette = expandPalette(descriptor(instance), data);
    if (!palette) throw new Error('the segmented palette of this image cannot be expanded');
    return palette;
  });
}

function tables(instance: Instance, palette: Palette | Promise<Palette>): Record<string, unknown> {
  const module: Record<string, unknown> = {};
  const [entries, first] = descriptor(instance);
  COLOURS.forEach((colour, n) => {
    const name = `${colour.toLowerCase()}PaletteColorLookupTable`;
    module[`${name}Descriptor`] = [entries || 65536, first, 8];
    module[`${name}Data`] = palette instanceof Promise ? palette.then(done => done.tables[n]) : palette.tables[n];
  });
  return module;
}

function descriptor(instance: Instance): Descriptor {
  const [entries = 0, first = 0, bits = 16] = (instance.RedPaletteColorLookupTableDescriptor ?? []) as number[];
  return [Number(entries) & 0xffff, Number(first), Number(bits)];
}

function bytes(value: unknown): Uint8Array | Promise<Uint8Array> | undefined {
  const direct = asBytes(value);
  if (direct) return direct;
  const { InlineBinary, retrieveBulkData } = (value ?? {}) as Binary;
  if (InlineBinary !== undefined) return Uint8Array.from(atob(InlineBinary), each => each.charCodeAt(0));
  return retrieveBulkData?.call(value).then(got => {
    const found = asBytes(got);
    if (!found) throw new Error('no bytes came for a segmented palette');
    return found;
  });
}

function asBytes(value: unknown): Uint8Array | undefined {
  const first = Array.isArray(value) ? value[0] : value;
  if (first instanceof ArrayBuffer) return new Uint8Array(first);
  return ArrayBuffer.isView(first) ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength) : undefined;
}
