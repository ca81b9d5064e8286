// Starts a headless Chromium, for the tests of the inspector's page and for its picture.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** Starts the browser that `CHROMIUM` names, or one that the system has. */
export function launchBrowser() {
  const executablePath = [process.env.CHROMIUM ?? '', ...PATHS].find((path) => existsSync(path))
  if (executablePath === undefined) {
    throw new Error('no Chromium was found: install it (Debian: apt-get install chromium), or name it in the environment variable CHROMIUM')
  }
  // In a container there may be no user namespaces for its sandbox, and little shared memory. It sees no page but ours.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}
