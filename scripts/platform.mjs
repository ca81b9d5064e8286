// Which of the eight platform packages fits the machine this runs on.

/** Names the platform as the packages under npm/ do: `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc` … */
export function hostPlatform() {
  const { platform, arch } = process
  if (platform === 'win32') return `${platform}-${arch}-msvc`
  if (platform === 'linux') return `${platform}-${arch}-${isGlibc() ? 'gnu' : 'musl'}`
  return `${platform}-${arch}`
}

function isGlibc() {
  return process.report.getReport().header.glibcVersionRuntime !== undefined
}
