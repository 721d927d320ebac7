// The scan on a canvas: territories of every layer, depth upward; hover tells, a click or an arrow key selects.
const MARGIN = { left: 44, right: 10, top: 8, bottom: 40 }
const HELD_MS = 250  // an arrow key pressed again within this is held down: the page follows when it rests
const CORE = 0.95, RIM = 0.22, GREY = "128,136,144"
const scans = new WeakMap()

export default function ({ data, parentElement, setTriggerValue }) {
  const find = name => parentElement.querySelector(name)
  let scan = scans.get(parentElement)
  if (!scan) {
    scan = { hovered: null, alone: false, timer: 0, stepped: 0 }
    scans.set(parentElement, scan)
    scan.observer = new ResizeObserver(() => draw(scan))
    scan.observer.observe(find(".scan"))
  }
  if (scan.data && scan.data.selected !== data.selected) scan.alone = true
  const canvas = find("canvas")
  Object.assign(scan, {
    canvas, data,
    pending: data.selected,
    tip: find(".tip"),
    neurons: data.layer && data.layer === scan.fetched ? scan.neurons : layersOf(data.neurons, Int32Array, data.widths),
    z: data.layer && data.layer === scan.fetched ? scan.z : layersOf(data.z, Float32Array, data.widths),
    choose: network => setTriggerValue("network", network),
    buttons: { all: find(".all"), one: find(".one") },
  })
  scan.buttons.one.textContent = `Network ${data.selected} alone`
  scan.buttons.all.onclick = () => show(scan, false)
  scan.buttons.one.onclick = () => show(scan, true)
  canvas.onmousemove = event => point(scan, event)
  canvas.onmouseleave = () => leave(scan)
  canvas.onclick = event => {
    const at = under(scan, event)
    if (at) select(scan, at.run[0], 0)
  }
  canvas.onkeydown = event => step(scan, event)
  show(scan, scan.alone)
  return () => {
    scan.observer.disconnect()
    clearTimeout(scan.timer)
    scans.delete(parentElement)
  }
}

function layersOf(text, Kind, widths) {
  if (!text) return null
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
  return parted(new Kind(bytes.buffer), widths)
}

function parted(all, widths) {
  let start = 0
  return widths.map(width => all.subarray(start, (start += width)))
}

// Every neuron of a large model is fetched when somebody points for the first time.
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
  canvas.setAttribute("aria-valuetext", `Network ${pending}: ${data.labels[pending] ?? ""}`)
}

function select(scan, network, wait) {
  scan.pending = network
  scan.alone = true
  describe(scan)
  clearTimeout(scan.timer)
  scan.timer = setTimeout(() => scan.choose(network), wait)
  draw(scan)
}

function step(scan, event) {
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key]
  if (!by) return
  event.preventDefault()
  const { order } = scan.data
  const to = order[(order.indexOf(scan.pending) + by + order.length) % order.length]
  const held = event.timeStamp - scan.stepped < HELD_MS
  scan.stepped = event.timeStamp
  select(scan, to, held ? HELD_MS : 0)
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
  fetchLayer(scan)
  const [network, core] = at.run
  const layer = scan.neurons ? ` · neuron ${scan.neurons[at.layer][at.place].toLocaleString("en")}` : ""
  const value = scan.z ? scan.z[at.layer][at.place] / (scan.z[at.layer] instanceof Int16Array ? 100 : 1) : 0
  const z = scan.z ? ` · z = ${value.toFixed(1)}` : ""
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
