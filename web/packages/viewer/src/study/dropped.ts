/** Files and folders of a drop, as they are to be walked later. */

/** What a drop holds. Asked for within the event: after it the list is empty. */
export function dropped(items: DataTransferItemList): (FileSystemEntry | File)[] {
  return [...items].flatMap(item => item.webkitGetAsEntry?.() ?? item.getAsFile() ?? []);
}
