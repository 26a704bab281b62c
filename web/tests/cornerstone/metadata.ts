/** A series' metadata from DICOMweb, as Cornerstone3D asks for them. */
type DicomJson = Record<string, { vr: string; Value?: unknown[] }>;

export interface Instances {
  imageIds: string[];
  provider(type: string, imageId: string): Record<string, unknown> | undefined;
}

export async function instances(root: string, path: string): Promise<Instances> {
  const answer = await fetch(`${root}${path}/metadata`, { headers: { Accept: 'application/json' } });
  const all = ((await answer.json()) as DicomJson[]).sort((a, b) => one(a, '00200013', 0) - one(b, '00200013', 0));
  const of = new Map(all.map(each => [`wadors:${root}${path}/instances/${one(each, '00080018', '')}/frames/1`, each]));
  return {
    imageIds: [...of.keys()],
    provider(type, imageId) {
      const found = of.get(imageId);
      return found && MODULES[type]?.(found);
    },
  };
}

const MODULES: Record<string, (instance: DicomJson) => Record<string, unknown>> = {
  imagePixelModule: each => ({
    samplesPerPixel: one(each, '00280002', 1),
    photometricInterpretation: one(each, '00280004', ''),
    rows: one(each, '00280010', 0),
    columns: one(each, '00280011', 0),
    bitsAllocated: one(each, '00280100', 16),
    bitsStored: one(each, '00280101', 16),
    highBit: one(each, '00280102', 15),
    pixelRepresentation: one(each, '00280103', 0),
  }),
  imagePlaneModule: each => {
    const orientation = all(each, '00200037', [1, 0, 0, 0, 1, 0]);
    const [rowPixelSpacing, columnPixelSpacing] = all(each, '00280030', [1, 1]);
    return {
      frameOfReferenceUID: one(each, '00200052', '1.2.3'),
      rows: one(each, '00280010', 0),
      columns: one(each, '00280011', 0),
      imageOrientationPatient: orientation,
      rowCosines: orientation.slice(0, 3),
      columnCosines: orientation.slice(3),
      imagePositionPatient: all(each, '00200032', [0, 0, 0]),
      pixelSpacing: [rowPixelSpacing, columnPixelSpacing],
      rowPixelSpacing,
      columnPixelSpacing,
      sliceThickness: one(each, '00180050', 1),
    };
  },
  generalSeriesModule: each => ({ modality: one(each, '00080060', ''), seriesInstanceUID: one(each, '0020000E', '') }),
  modalityLutModule: each => ({ rescaleSlope: one(each, '00281053', 1), rescaleIntercept: one(each, '00281052', 0) }),
  voiLutModule: each => ({ windowCenter: all(each, '00281050', [2048]), windowWidth: all(each, '00281051', [4096]) }),
  sopCommonModule: each => ({ sopClassUID: one(each, '00080016', ''), sopInstanceUID: one(each, '00080018', '') }),
  transferSyntax: each => ({ transferSyntaxUID: one(each, '00083002', '') }),
};

function one<Value>(each: DicomJson, tag: string, otherwise: Value): Value {
  return (each[tag]?.Value?.[0] as Value | undefined) ?? otherwise;
}

function all(each: DicomJson, tag: string, otherwise: number[]): number[] {
  return (each[tag]?.Value as number[] | undefined)?.map(Number) ?? otherwise;
}
