/** The page that is served, with everything in it. scripts/build-page.mjs makes the module from `browser/`. */
export declare const PAGE: {
  readonly html: string
  /** The hash of its only script, as a policy names it: `sha256-…`. */
  readonly scriptHash: string
  /** The hash of its only style sheet. */
  readonly styleHash: string
}
