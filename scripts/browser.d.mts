import type { Browser } from 'playwright-core'

/** Starts the browser that `CHROMIUM` names, or one that the system has. */
export function launchBrowser(): Promise<Browser>
