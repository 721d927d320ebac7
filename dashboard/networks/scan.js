// The scan on a canvas: territories of every layer, depth upward; hover tells, a click or an arrow key selects.
const MARGIN = { left: 44, right: 10, top: 8, bottom: 40 }
const HELD_MS = 250  // an arrow key that is held down: the page follows once it rests so long
const LOST_MS = 3000  // so long the page's answer is awaited before it is asked again
const IDLE_MS = 1000  // so long after the last run of the page every neuron is fetched
const CORE = 0.95, RIM = 0.22, GREY = "128,136,144"
const scans = new WeakMap()

export default function ({ data, parentElement, setTriggerValue }) {
  const find = name => parentElement.querySelector(name)
  let scan = scans.get(parentElement)
  if (!scan) {
    scan = { hovered: null, alone: false, asked: null, wanted: null, timer: 0 }
    scans.set(parentElement, scan)
    scan.observer = new ResizeObserver(() => draw(scan))
    scan.observer.observe(find(".scan"))
  }
  if (scan.data && scan.data.selected !== data.selected) {
    scan.alone = true
    if (data.selected !== scan.asked) scan.wanted = null  // it was selected elsewhere
    scan.asked = null
  }
  const canvas = find("canvas")
  if (data.layer !== scan.fetched) scan.neurons = scan.z = scan.fetched = null
  Object.assign(scan, {
    canvas, data,
    pending: scan.wanted ?? scan.asked ?? data.selected,
    tip: find(".tip"),
    name: find(".name"),
    choose: network => setTriggerValue("network", network),
    buttons: { all: find(".all"), one: find(".one") },
  })
  scan.buttons.all.onclick = () => show(scan, false)
  scan.buttons.one.onclick = () => show(scan, true)
  canvas.onmousemove = event => point(scan, event)
  canvas.onmouseleave = () => leave(scan)
  canvas.onclick = event => {
    const at = under(scan, event)
    if (at) select(scan, at.run[0], false)
  }
  canvas.onkeydown = event => step(scan, event)
  show(scan, scan.alone)
  if (!scan.timer) ask(scan)
  clearTimeout(scan.idle)
  if (data.soon) scan.idle = setTimeout(fetchLayer, IDLE_MS, scan)
  return () => {
    scan.observer.disconnect()
    for (const timer of [scan.timer, scan.idle, scan.lost]) clearTimeout(timer)
    scans.delete(parentElement)
  }
}

function parted(all, widths) {
  let start = 0
  return widths.map(width => all.subarray(start, (start += width)))
}

// Every neuron's number and z-value: fetched when the page rests, or when somebody points for the first time.
async function fetchLayer(scan) {
  const { layer, widths } = scan.data
  if (!layer || scan.fetched === layer || scan.fetching === layer) return
  scan.fetching = layer
  const buffer = await fetch(layer).then(answer => (answer.ok ? answer.arrayBuffer() : null), () => null)
  if (scan.fetching === layer) scan.fetching = null
  if (!buffer || scan.data.layer !== layer) return
  const count = widths.reduce((sum, width) => sum + width, 0)
  scan.neurons = parted(new Int32Array(buffer, 0, count), widths)
  scan.z = parted(new Int16Array(buffer, 4 * count, count), widths)
  scan.fetched = layer
  if (!scan.tip.hidden) point(scan, scan.pointed)
}

function show(scan, alone) {
  scan.alone = alone
  scan.buttons.all.setAttribute("aria-pressed", String(!alone))
  scan.buttons.one.setAttribute("aria-pressed", String(alone))
  describe(scan)
  draw(scan)
}

function describe(scan) {
  const { canvas, data, pending } = scan
  canvas.setAttribute("aria-valuemax", data.networks - 1)
  canvas.setAttribute("aria-valuenow", pending)
  const name = `Network ${pending}: ${data.labels[pending] ?? ""}`
  canvas.setAttribute("aria-valuetext", name)
  scan.name.textContent = scan.name.title = name
  scan.name.style.borderColor = `rgb(${data.colours[pending]})`
  scan.buttons.one.textContent = `Network ${pending} alone`
}

// The scan lights and names a network at once; the page follows, one network at a time.
function select(scan, network, held) {
  scan.pending = scan.wanted = network
  clearTimeout(scan.timer)
  scan.timer = 0
  show(scan, true)
  if (held) scan.timer = setTimeout(() => { scan.timer = 0; ask(scan) }, HELD_MS)
  else ask(scan)
}

function ask(scan) {
  if (scan.asked !== null || scan.wanted === null) return
  const network = scan.wanted
  scan.wanted = null
  if (network === scan.data.selected) return
  scan.asked = network
  scan.choose(network)
  clearTimeout(scan.lost)
  scan.lost = setTimeout(() => {
    if (scan.asked === null) return
    scan.asked = null
    scan.pending = scan.wanted ?? scan.data.selected
    show(scan, scan.alone)
    ask(scan)
  }, LOST_MS)
}

function step(scan, event) {
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key]
  if (!by) return
  event.preventDefault()
  const { order } = scan.data
  const to = order[(order.indexOf(scan.pending) + by + order.length) % order.length]
  select(scan, to, event.repeat)
}

function frame(scan) {
  const { canvas, data } = scan
  const width = canvas.clientWidth - MARGIN.left - MARGIN.right
  const height = canvas.clientHeight - MARGIN.top - MARGIN.bottom
  return { width, height, row: height / data.widths.length, place: width / Math.max(...data.widths) }
}

function draw(scan) {
  const { canvas, data } = scan
  if (!canvas || !canvas.clientWidth) return
  const ratio = window.devicePixelRatio || 1
  canvas.width = canvas.clientWidth * ratio
  canvas.height = canvas.clientHeight * ratio
  const pen = canvas.getContext("2d")
  pen.scale(ratio, ratio)
  const box = frame(scan)
  const gap = box.row > 5 ? 1 : 0
  const one = scan.pending
  data.runs.forEach((runs, layer) => {
    const y = MARGIN.top + box.height - (layer + 1) * box.row + gap / 2
    let x = MARGIN.left
    for (const [network, core, rim] of runs) {
      const lit = !scan.alone || network === one || network === scan.hovered
      const dimmed = !scan.alone && scan.hovered !== null && network !== scan.hovered
      const colour = lit ? data.colours[network] : GREY
      const share = lit ? (dimmed ? 0.45 : 1) : 0.3
      pen.fillStyle = `rgba(${colour},${CORE * share})`
      pen.fillRect(x, y, core * box.place, box.row - gap)
      pen.fillStyle = `rgba(${colour},${RIM * share})`
      pen.fillRect(x + core * box.place, y, rim * box.place, box.row - gap)
      x += (core + rim) * box.place
    }
    if (scan.alone && one === data.selected) {
      pen.fillStyle = `rgb(${data.colours[one]})`
      for (const place of data.elsewhere[layer]) {
        pen.fillRect(MARGIN.left + place * box.place, y, Math.max(box.place, 1), box.row - gap)
      }
    }
  })
  axes(scan, pen, box)
}

function axes(scan, pen, box) {
  const style = getComputedStyle(scan.canvas)
  pen.fillStyle = style.color
  pen.font = `12px ${style.fontFamily}`
  pen.textBaseline = "middle"
  pen.textAlign = "right"
  const layers = scan.data.widths.length
  const every = [1, 2, 5, 10, 20, 50].find(step => layers / step <= box.height / 28) ?? 100
  for (let layer = 0; layer < layers; layer += every) {
    pen.fillText(String(layer), MARGIN.left - 7, MARGIN.top + box.height - (layer + 0.5) * box.row)
  }
  pen.textAlign = "center"
  const widest = Math.max(...scan.data.widths)
  const bottom = MARGIN.top + box.height
  const tick = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000].find(
    step => widest / step <= box.width / 70) ?? 50000
  for (let at = 0; at <= widest; at += tick) pen.fillText(at.toLocaleString("en"), MARGIN.left + at * box.place, bottom + 11)
  pen.font = `13px ${style.fontFamily}`
  pen.fillText("neurons of the layer, by network", MARGIN.left + box.width / 2, bottom + 30)
  pen.save()
  pen.translate(10, MARGIN.top + box.height / 2)
  pen.rotate(-Math.PI / 2)
  pen.fillText("layer", 0, 0)
  pen.restore()
}

function under(scan, event) {
  const box = frame(scan)
  const layer = Math.floor((MARGIN.top + box.height - event.offsetY) / box.row)
  const place = Math.floor((event.offsetX - MARGIN.left) / box.place)
  const runs = scan.data.runs[layer]
  if (!runs || place < 0 || place >= scan.data.widths[layer]) return null
  let start = 0
  for (const run of runs) {
    const end = start + run[1] + run[2]
    if (place < end) return { layer, place, run, core: place < start + run[1] }
    start = end
  }
  return null
}

function point(scan, event) {
  const at = under(scan, event)
  scan.canvas.style.cursor = at ? "pointer" : "default"
  if (!at) return leave(scan)
  scan.pointed = { offsetX: event.offsetX, offsetY: event.offsetY }
  fetchLayer(scan)
  const [network, core] = at.run
  const layer = scan.neurons ? ` · neuron ${scan.neurons[at.layer][at.place].toLocaleString("en")}` : ""
  const z = scan.z ? ` · z = ${(scan.z[at.layer][at.place] / 100).toFixed(1)}` : ""
  scan.tip.querySelector("b").textContent = `Network ${network}: ${scan.data.labels[network]}`
  scan.tip.querySelector("span").textContent =
    `layer ${at.layer}${layer}${z}` + (at.core ? "" : " (below the threshold)")
  scan.tip.querySelector("small").textContent =
    `${core.toLocaleString("en")} key ${core === 1 ? "neuron" : "neurons"} of this layer stand here`
  scan.tip.hidden = false
  const left = event.offsetX + 14 + scan.tip.offsetWidth > scan.canvas.clientWidth
  scan.tip.style.left = `${left ? Math.max(0, event.offsetX - 14 - scan.tip.offsetWidth) : event.offsetX + 14}px`
  const low = event.offsetY + 12 + scan.tip.offsetHeight > scan.canvas.clientHeight
  scan.tip.style.top = `${scan.canvas.offsetTop + (low ? event.offsetY - 12 - scan.tip.offsetHeight : event.offsetY + 12)}px`
  if (scan.hovered !== network) {
    scan.hovered = network
    draw(scan)
  }
}

function leave(scan) {
  scan.tip.hidden = true
  if (scan.hovered !== null) {
    scan.hovered = null
    draw(scan)
  }
}
