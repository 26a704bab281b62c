/** The files of what was dropped or chosen: folders are walked, and what cannot be DICOM is left where it is. */

/** A file, and where it lies in what was dropped. */
export interface Found {
  file: File;
  path: string;
}

/** Folders within folders: no disc has more. */
const DEEPEST = 32;

/** Every file below these, one after the other. */
export async function* walk(entries: readonly (FileSystemEntry | File)[], depth = 0): AsyncGenerator<Found> {
  for (const entry of entries) {
    if (entry instanceof File) yield { file: entry, path: entry.webkitRelativePath || entry.name };
    else if (entry.isFile) yield { file: await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)), path: entry.fullPath.replace(/^\//, '') };
    else if (depth < DEEPEST) yield* walk(await children(entry as FileSystemDirectoryEntry), depth + 1);
  }
}

/** A folder tells its entries a hundred at a time. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** Whether a file may be an instance: DICM at byte 128 (PS3.10 7.1), or a name that says so; the directory of a disc is none. */
export async function mayBeDicom({ file }: Found): Promise<boolean> {
  if (/^DICOMDIR$/i.test(file.name)) return false;
  const mark = new Uint8Array(await file.slice(128, 132).arrayBuffer());
  return String.fromCharCode(...mark) === 'DICM' || /\.(dcm|dicom)$/i.test(file.name);
}
