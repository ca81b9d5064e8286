// Draws the charts. ECharts comes with the peers, and is not needed for anything else.
import { chartsOf } from './charts.mjs'

/**
 * Draws what was measured on one Node.
 *
 * @returns {Promise<{ name: string, title: string, svg: string }[]>}
 */
export async function plotsOf(result) {
  const echarts = await import('echarts')
  return chartsOf(result).map(({ name, title, size, option }) => ({ name, title, svg: draw(echarts, size, option) }))
}

function draw(echarts, size, option) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size })
  try {
    chart.setOption(option)
    return `${chart.renderToSVGString()}\n`
  } finally {
    chart.dispose()
  }
}
