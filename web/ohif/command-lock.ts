/** Commands that take something away from the screen: refused while any viewport shows a preview. */
import type { CommandsManager } from './host.ts';

/** Capture, reports, export, and what computes figures from pixels. */
const LOCKED = new Set([
  // capture
  'showDownloadViewportModal',
  'captureViewport',
  // measurements and reports
  'promptSaveReport',
  'storeMeasurements',
  'downloadReport',
  'downloadCSVMeasurementsReport',
  'createTMTVRTReport',
  'exportRTReportForAnnotations',
  'exportTMTVReportCSV',
  'exportTimeReportCSV',
  'generateUSPleuraBLineAnnotationsJSON',
  'downloadUSPleuraBLineAnnotationsJSON',
  // segmentations
  'createStoreFunction',
  'generateSegmentation',
  'storeSegmentation',
  'storeSegmentationCommand',
  'downloadSegmentation',
  'downloadSegmentationCommand',
  'downloadRTSS',
  'downloadRTSSCommand',
  'downloadCSVSegmentationReport',
  'getSegmentationCSVReport',
  // figures
  'calculateTMTV',
  'calculateSuvPeak',
  'thresholdSegmentationByRectangleROITool',
  'createNewLabelmapFromPT',
  'runSegmentBidirectional',
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
