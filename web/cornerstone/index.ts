/** The loading logic for Cornerstone3D, free of any framework. */
export * from './authorization.ts';
export * from './client-level.ts';
export * from './completeness.ts';
export * from './cuts.ts';
export * from './frame-address.ts';
export * from './levels.ts';
export * from './ranges.ts';
export * from './retrieve.ts';
