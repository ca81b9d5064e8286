import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

interface Manifest {
  name: string
  version: string
  license: string
  engines: { node: string }
  main: string
  files: string[]
  os: string[]
  cpu: string[]
  libc?: string[]
  dependencies?: object
  optionalDependencies?: object
  scripts?: Record<string, string>
  napi: { packageName: string; targets: string[] }
  devDependencies: Record<string, string>
}

/** The package folder, operating system, processor and C library of every target. */
const PLATFORMS: Record<string, [folder: string, os: string, cpu: string, libc?: string]> = {
  'x86_64-unknown-linux-gnu': ['linux-x64-gnu', 'linux', 'x64', 'glibc'],
  'aarch64-unknown-linux-gnu': ['linux-arm64-gnu', 'linux', 'arm64', 'glibc'],
  'x86_64-unknown-linux-musl': ['linux-x64-musl', 'linux', 'x64', 'musl'],
  'aarch64-unknown-linux-musl': ['linux-arm64-musl', 'linux', 'arm64', 'musl'],
  'x86_64-apple-darwin': ['darwin-x64', 'darwin', 'x64'],
  'aarch64-apple-darwin': ['darwin-arm64', 'darwin', 'arm64'],
  'x86_64-pc-windows-msvc': ['win32-x64-msvc', 'win32', 'x64'],
  'aarch64-pc-windows-msvc': ['win32-arm64-msvc', 'win32', 'arm64'],
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}

const main = readManifest('package.json')

describe('H16: manifests', () => {
  it('installs nothing but itself in an application', () => {
    expect(main.dependencies).toBeUndefined()
    expect(main.optionalDependencies).toBeUndefined()
  })

  it('pins every development dependency to one version', () => {
    for (const [name, version] of Object.entries(main.devDependencies)) expect(version, name).toMatch(/^(?:npm:[\w-]+@)?\d+\.\d+\.\d+(?:-rc\.\d+)?$/)
  })

  it('has the version of the crates', () => {
    expect(readFileSync('Cargo.toml', 'utf8')).toContain(`version = "${main.version}"`)
  })

  it('has one platform package for every target', () => {
    expect(main.napi.targets.sort()).toEqual(Object.keys(PLATFORMS).sort())
    expect(readdirSync('npm').sort()).toEqual(Object.values(PLATFORMS).map(([folder]) => folder).sort())
  })

  it.each(Object.values(PLATFORMS))('describes the platform package %s', (folder, os, cpu, libc) => {
    const manifest = readManifest(`npm/${folder}/package.json`)
    expect(manifest).toMatchObject({
      name: `${main.napi.packageName}-${folder}`,
      version: main.version,
      license: main.license,
      engines: main.engines,
      main: `sluice.${folder}.node`,
      files: [`sluice.${folder}.node`],
      os: [os],
      cpu: [cpu],
    })
    expect(manifest.libc).toEqual(libc === undefined ? undefined : [libc])
    expect(manifest.scripts).toBeUndefined()
  })
})
