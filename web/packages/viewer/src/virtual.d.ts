/** Where the build put the decoder's modules (vite.config.ts). */
declare module 'virtual:decoder' {
  /** With SIMD. */
  export const MODULE: string;
  export const SCALAR: string;
}
