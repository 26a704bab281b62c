/** The extension for OHIF 3.13: `window.config.extensions = [createExtension(root, { decoders })]`. */
export { createExtension, type Extension, type ExtensionOptions } from './extension.ts';
export type { FirstDocument } from './first-document.ts';
