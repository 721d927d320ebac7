// A time course on a canvas: tokens rightward, standard deviations upward; a point tells its token and its value.
const MARGIN = { left: 44, right: 10, top: 6, bottom: 40 }
const LINE = "rgba(128,136,144,.22)", ZERO = "rgba(128,136,144,.7)"
const courses = new WeakMap()

export default function ({ data, parentElement }) {
  const find = name => parentElement.querySelector(name)
  let course = courses.get(parentElement)
  if (!course) {
    course = { pointed: null }
    courses.set(parentElement, course)
    course.observer = new ResizeObserver(() => draw(course))
    course.observer.observe(find(".course"))
  }
  const canvas = find("canvas")
  Object.assign(course, { canvas, data, tip: find(".told"), pointed: null })
  find(".title").textContent = data.title
  canvas.setAttribute("aria-label", data.described)
  canvas.onmousemove = event => point(course, event)
  canvas.onmouseleave = () => leave(course)
  leave(course)
  return () => {
    course.observer.disconnect()
    courses.delete(parentElement)
  }
}

// What turns a token's number and a value into a place on the canvas.
function frame({ canvas, data }) {
  const low = Math.min(0, ...data.values), high = Math.max(0, ...data.values)
  const pad = 0.06 * (high - low || 1)
  const width = canvas.clientWidth - MARGIN.left - MARGIN.right
  const height = canvas.clientHeight - MARGIN.top - MARGIN.bottom
  const across = width / Math.max(data.values.length - 1, 1)
  const upward = height / (high - low + 2 * pad)
  return {
    low, high, width, height, across,
    x: token => MARGIN.left + token * across,
    y: value => MARGIN.top + (high + pad - value) * upward,
    per: upward,
  }
}

function draw(course) {
  const { canvas, data, pointed } = course
  if (!canvas || !canvas.clientWidth) return
  const ratio = window.devicePixelRatio || 1
  canvas.width = canvas.clientWidth * ratio
  canvas.height = canvas.clientHeight * ratio
  const pen = canvas.getContext("2d")
  pen.scale(ratio, ratio)
  const box = frame(course)
  axes(course, pen, box)
  pen.strokeStyle = `rgb(${data.colour})`
  pen.lineWidth = 1.6
  pen.lineJoin = "round"
  pen.beginPath()
  data.values.forEach((value, token) => pen.lineTo(box.x(token), box.y(value)))
  pen.stroke()
  if (pointed === null) return
  pen.fillStyle = `rgb(${data.colour})`
  pen.beginPath()
  pen.arc(box.x(pointed), box.y(data.values[pointed]), 4, 0, 2 * Math.PI)
  pen.fill()
}

function axes({ canvas, data }, pen, box) {
  const style = getComputedStyle(canvas)
  const bottom = MARGIN.top + box.height, right = MARGIN.left + box.width
  pen.fillStyle = style.color
  pen.font = `12px ${style.fontFamily}`
  pen.lineWidth = 1
  pen.textBaseline = "middle"
  pen.textAlign = "right"
  const step = [0.5, 1, 2, 5, 10, 20, 50].find(step => step * box.per >= 24) ?? 100
  for (let at = Math.ceil(box.low / step); at * step <= box.high; at++) {
    const y = Math.round(box.y(at * step)) + 0.5
    pen.strokeStyle = at ? LINE : ZERO
    pen.beginPath()
    pen.moveTo(MARGIN.left, y)
    pen.lineTo(right, y)
    pen.stroke()
    pen.fillText(String(at * step), MARGIN.left - 7, y)
  }
  pen.textAlign = "center"
  const tick = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find(tick => tick * box.across >= 60) ?? 10000
  for (let at = 0; at < data.values.length; at += tick) pen.fillText(at.toLocaleString("en"), box.x(at), bottom + 11)
  pen.font = `13px ${style.fontFamily}`
  pen.fillText("token", MARGIN.left + box.width / 2, bottom + 30)
  pen.save()
  pen.translate(10, MARGIN.top + box.height / 2)
  pen.rotate(-Math.PI / 2)
  pen.fillText("activity (SD)", 0, 0)
  pen.restore()
}

function point(course, event) {
  const { canvas, data, tip } = course
  const box = frame(course)
  const token = Math.round((event.offsetX - MARGIN.left) / box.across)
  if (token < 0 || token >= data.values.length) return leave(course)
  course.pointed = token
  tip.querySelector("b").textContent = `${data.values[token].toFixed(1)} SD`
  tip.querySelector("span").textContent = `token ${token}: “${data.tokens[token]}”`
  tip.hidden = false
  const over = box.x(token) + 12 + tip.offsetWidth > canvas.clientWidth
  tip.style.left = `${over ? Math.max(0, box.x(token) - 12 - tip.offsetWidth) : box.x(token) + 12}px`
  draw(course)
}

function leave(course) {
  course.pointed = null
  course.tip.hidden = true
  draw(course)
}
