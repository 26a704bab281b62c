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

export function isLocked(command: unknown): boolean {
  return typeof command === 'string' && LOCKED.has(command);
}

/** Makes `manager` ask `refuses` before each locked command. Runs once per manager. */
export function lockCommands(manager: CommandsManager, refuses: (command: string) => boolean): void {
  const run = manager.runCommand.bind(manager);
  manager.runCommand = (name, options, context) => {
    if (isLocked(name) && refuses(name as string)) return undefined;
    return run(name, options, context);
  };
}
