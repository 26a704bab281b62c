/** Commands that take something away from the screen: refused while any viewport shows a preview. */
import type { CommandsManager } from './host.ts';

/** Capture, reports, export, and what computes figures or segments from pixels; the names in OHIF 3.13 and its modes. */
const LOCKED = new Set([
  // capture
  'showDownloadViewportModal',
  // measurements and reports
  'promptSaveReport',
  'storeMeasurements',
  'downloadCSVMeasurementsReport',
  'createTMTVRTReport',
  'exportRTReportForAnnotations',
  'exportTMTVReportCSV',
  'exportTimeReportCSV',
  'generateJSON',
  'downloadJSON',
  // segmentations
  'createStoreFunction',
  'generateSegmentation',
  'storeSegmentation',
  'downloadSegmentation',
  'downloadRTSS',
  'downloadCSVSegmentationReport',
  'getSegmentationCSVReport',
  // figures
  'calculateTMTV',
  'thresholdSegmentationByRectangleROITool',
  'createNewLabelmapFromPT',
  'runSegmentBidirectional',
  'interpolateLabelmap',
  'interpolateScrollForMarkerLabelmap',
]);

/** What only opens a dialog may open by itself as soon as it can. */
const OPENS = new Set(['showDownloadViewportModal']);

export const opensLater = (command: string): boolean => OPENS.has(command);

export function isLocked(command: unknown): boolean {
  return typeof command === 'string' && LOCKED.has(command);
}

/** Makes `manager` ask `refuses` before each locked command; `again` gives the command another try. Runs once per manager. */
export function lockCommands(manager: CommandsManager, refuses: (command: string, again: () => void) => boolean): void {
  const run = manager.runCommand.bind(manager);
  manager.runCommand = (name, options, context) => {
    if (isLocked(name) && refuses(name as string, () => void manager.runCommand(name, options, context))) return undefined;
    return run(name, options, context);
  };
}
