/** Draws what was measured. */
export async function plotsOf() {
  return []
}
