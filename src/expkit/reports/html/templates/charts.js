"use strict";
// Charts as SVG: lines, bars and dots, with levels across and marks along; hover, zoom, keys.
const SVG = "http://www.w3.org/2000/svg";
const draw = (tag, values, parent) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(values)) node.setAttribute(name, value);
  parent?.append(node);
  return node;
};
const COLOURS = 7, TOP = 22, BOTTOM = 34, LEFT = 58, RIGHT = 14;

function shownNumber(value, percent) {
  if (value === null || value === undefined) return "-";
  if (percent) return `${Number((100 * value).toFixed(2))} %`;
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function ticksOf(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const parts = decades > 4 ? [1] : decades > 1.2 ? [1, 3] : decades > 0.5 ? [1, 2, 3, 5, 7] : null;
  if (!parts) return ticksOf(low, high, 5);
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const part of parts) { const tick = part * 10 ** power; if (tick >= low && tick <= high) ticks.push(tick); }
  return ticks;
}

function drawChart(figure, chart) {
  const isLog = chart.log, tip = document.getElementById("tip");
  const hidden = new Set(), xs = [...new Set(chart.lines.flatMap((line) => line.points.map((point) => point[0])))]
    .filter((x) => x !== null).sort((one, other) => one - other);
  if (!xs.length) { figure.append("nothing was recorded"); return; }
  const margin = chart.ends || chart.lines.some((line) => line.kind === "dots") ? 0.02 * (xs.at(-1) - xs[0]) : 0;
  const whole = chart.ends ?? (xs.length > 1 ? [xs[0] - margin, xs.at(-1) + margin] : [xs[0] - 1, xs[0] + 1]);
  let [from, to] = whole, focus = null, picked = null;
  const head = make("div", { className: "head" }, make("b", {}, chart.title));
  chart.lines.forEach((line, number) => {
    const swatch = make("i"); swatch.style.color = line.kind === "reference" ? "var(--soft)" : `var(--s${number % COLOURS})`;
    const button = make("button", { type: "button", ariaPressed: "true" }, swatch, line.name);
    button.addEventListener("click", () => {
      hidden.has(number) ? hidden.delete(number) : hidden.add(number);
      button.ariaPressed = String(!hidden.has(number));
      paint();
    });
    head.append(button);
  });
  const reset = make("button", { type: "button", className: "reset", hidden: true }, "see all");
  reset.addEventListener("click", () => zoom(...whole));
  head.append(reset);
  const svg = draw("svg", { role: "img", tabindex: 0, "aria-label": `${chart.title} by ${chart.x}: ` + chart.lines.map((line) => `${line.name} ends at ${shownNumber(line.points.at(-1)?.[1], chart.percent)}`).join(", ") });
  figure.prepend(head, svg);
  figure.querySelector("figcaption")?.remove();
  let width = 0, height = 0, toX, toY;

  function zoom(low, high) {
    [from, to] = high - low > (whole[1] - whole[0]) * 1e-4 ? [Math.max(low, whole[0]), Math.min(high, whole[1])] : whole;
    reset.hidden = from === whole[0] && to === whole[1];
    paint();
  }

  function range() {
    const values = [];
    chart.lines.forEach((line, number) => {
      if (hidden.has(number)) return;
      for (const point of line.points) if (point[0] >= from && point[0] <= to && point[1] !== null) {
        values.push(point[1]);
        if (point.length > 2 && line.kind === "dots") values.push(point[2], point[3]);
      }
    });
    const isZoomed = !reset.hidden;
    if (!isZoomed) for (const level of chart.levels) values.push(level.value);
    const shown = isLog ? values.filter((value) => value > 0) : values;
    if (!shown.length) return isLog ? [0.1, 10] : [0, 1];
    let low = Math.min(...shown), high = Math.max(...shown);
    if (isLog) { const room = Math.max((high / low) ** 0.06, 1.1); return [low / room, high * room]; }
    if (chart.low !== null && (!isZoomed || low - chart.low < (high - low))) low = Math.min(low, chart.low);
    if (chart.high !== null && !isZoomed) high = Math.max(high, chart.high);
    const room = 0.05 * (high - low || Math.abs(high) || 1);
    return [low === chart.low ? low : low - room, high === chart.high ? high : high + room];
  }

  function paint() {
    svg.replaceChildren();
    const box = figure.clientWidth || 700;
    width = Math.max(box, 260);
    height = chart.ends || chart.lines.some((line) => line.kind === "dots") ? Math.min(380, width * 0.75) : chart.title === "learning rate" ? 130 : Math.min(250, width * 0.62);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const [low, high] = range();
    const place = isLog ? Math.log : (value) => value;
    toX = (value) => LEFT + (value - from) / (to - from) * (width - LEFT - RIGHT);
    toY = (value) => TOP + (place(high) - place(value)) / (place(high) - place(low)) * (height - TOP - BOTTOM);
    for (const tick of isLog ? logTicks(low, high) : ticksOf(low, high, height < 150 ? 2 : 5)) {
      draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: toY(tick), y2: toY(tick) }, svg);
      draw("text", { x: LEFT - 8, y: toY(tick) + 4, "text-anchor": "end" }, svg).textContent = shownNumber(tick, chart.percent);
    }
    for (const tick of ticksOf(from, to, Math.max(2, Math.floor(width / 110)))) {
      if (!chart.percent && !Number.isInteger(tick) && Number.isInteger(xs[0]) && Number.isInteger(xs.at(-1))) continue;
      const isEdge = toX(tick) > width - RIGHT - 12;
      draw("text", { x: toX(tick), y: height - BOTTOM + 18, "text-anchor": isEdge ? "end" : "middle" }, svg).textContent = shownNumber(tick, Boolean(chart.ends) && chart.percent);
    }
    draw("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM }, svg);
    draw("text", { x: (LEFT + width - RIGHT) / 2, y: height - 2, "text-anchor": "middle" }, svg).textContent = chart.x;
    const inside = draw("svg", { x: LEFT, y: 0, width: width - LEFT - RIGHT, height, viewBox: `${LEFT} 0 ${width - LEFT - RIGHT} ${height}`, overflow: "hidden" }, svg);
    for (const level of chart.levels) if (!isLog || level.value > 0) draw("line", { class: "level", x1: LEFT, x2: width - RIGHT, y1: toY(level.value), y2: toY(level.value) }, inside);
    for (const [x] of chart.marks) draw("line", { class: "mark", x1: toX(x), x2: toX(x), y1: TOP, y2: height - BOTTOM }, inside);
    chart.lines.forEach((line, number) => { if (!hidden.has(number)) paintLine(line, `var(--s${number % COLOURS})`, inside); });
    for (const level of chart.levels) {
      const y = toY(level.value); if (y < 0 || y > height - BOTTOM + 2) continue;
      draw("text", { class: "halo", x: width - RIGHT - 4, y: y - 5 < TOP + 8 ? y + 14 : y - 5, "text-anchor": "end" }, svg).textContent = level.label;
    }
    for (const [x, label] of chart.marks) {
      if (x < from || x > to) continue;
      const side = toX(x) > width - 70 ? "end" : toX(x) < LEFT + 50 ? "start" : "middle";
      draw("text", { x: toX(x), y: TOP - 8, "text-anchor": side }, svg).textContent = label;
    }
    if (picked) draw("rect", { class: "pick", x: Math.min(...picked), y: TOP, width: Math.abs(picked[1] - picked[0]), height: height - TOP - BOTTOM }, svg);
    if (focus !== null && !picked) paintFocus();
  }

  function paintLine(line, colour, parent) {
    if (line.kind === "bar") {
      const room = Math.abs(toX(1 / 15) - toX(0)) - 2;
      for (const [x, y] of line.points) draw("rect", { x: toX(x) - room / 2, width: Math.max(room, 1), y: toY(y), height: Math.max(toY(0) - toY(y), 0), fill: colour, opacity: 0.35 }, parent);
      return;
    }
    if (line.kind === "dots") {
      for (const [x, y, low, high] of line.points) {
        if (low !== undefined) draw("line", { x1: toX(x), x2: toX(x), y1: toY(low), y2: toY(high), stroke: colour, "stroke-width": 1.4 }, parent);
        draw("circle", { cx: toX(x), cy: toY(y), r: line.points.length > 200 ? 2 : 3.5, fill: colour, opacity: line.points.length > 200 ? 0.5 : 1 }, parent);
      }
      return;
    }
    let path = "", isDown = false;
    for (const [x, y] of line.points) {
      if (y === null || (isLog && y <= 0)) { isDown = false; continue; }
      path += `${isDown ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
      isDown = true;
    }
    if (line.kind === "reference") { draw("path", { d: path, class: "reference" }, parent); return; }
    draw("path", { d: path, fill: "none", stroke: colour, "stroke-width": 1.8, "stroke-linejoin": "round" }, parent);
    const seen = line.points.filter(([x, y]) => x >= from && x <= to && y !== null);
    if (seen.length <= 30 && !chart.ends) for (const [x, y] of seen) draw("circle", { cx: toX(x), cy: toY(y), r: 2.6, fill: colour }, parent);
  }

  function paintFocus() {
    draw("line", { class: "cross", x1: toX(focus), x2: toX(focus), y1: TOP, y2: height - BOTTOM }, svg);
    const lines = [`${chart.x} ${shownNumber(focus, Boolean(chart.ends) && chart.percent)}`];
    chart.lines.forEach((line, number) => {
      if (hidden.has(number) || line.kind === "reference") return;
      const point = line.points.find(([x]) => x === focus);
      if (!point || point[1] === null) return;
      if (line.kind !== "bar") draw("circle", { cx: toX(focus), cy: toY(point[1]), r: 4, fill: `var(--s${number % COLOURS})` }, svg);
      const more = point.length > 4 ? `, ${point[4]} samples` : "";
      lines.push(`${line.name}: ${shownNumber(point[1], chart.percent)}${more}`);
    });
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    const at = svg.getBoundingClientRect(), scale = at.width / width;
    const left = at.left + toX(focus) * scale;
    tip.style.left = `${Math.max(4, left + tip.offsetWidth + 20 > innerWidth ? left - tip.offsetWidth - 12 : left + 12)}px`;
    tip.style.top = `${Math.max(4, Math.min(at.top + TOP, innerHeight - tip.offsetHeight - 4))}px`;
  }

  const nearest = (x) => xs.reduce((best, each) => Math.abs(each - x) < Math.abs(best - x) ? each : best, xs[0]);
  const valueAt = (event) => { const at = svg.getBoundingClientRect(); return from + ((event.clientX - at.left) * width / at.width - LEFT) / (width - LEFT - RIGHT) * (to - from); };
  const leave = () => { focus = null; tip.hidden = true; };
  svg.addEventListener("pointermove", (event) => {
    if (picked) picked[1] = toX(Math.min(Math.max(valueAt(event), from), to)); else focus = nearest(Math.min(Math.max(valueAt(event), from), to));
    if (picked) tip.hidden = true;
    paint();
  });
  svg.addEventListener("pointerleave", () => { leave(); paint(); });
  svg.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse" && event.button === 0) { const x = toX(Math.min(Math.max(valueAt(event), from), to)); picked = [x, x]; svg.setPointerCapture(event.pointerId); event.preventDefault(); svg.focus({ preventScroll: true }); } });
  svg.addEventListener("pointerup", () => {
    if (!picked) return;
    const [low, high] = picked.toSorted((one, other) => one - other).map((x) => from + (x - LEFT) / (width - LEFT - RIGHT) * (to - from));
    const isWide = Math.abs(picked[1] - picked[0]) > 6;
    picked = null;
    isWide ? zoom(low, high) : paint();
  });
  svg.addEventListener("dblclick", () => zoom(...whole));
  svg.addEventListener("blur", () => { leave(); paint(); });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const seen = xs.filter((x) => x >= from && x <= to);
      const now = focus === null ? (step > 0 ? -1 : seen.length) : seen.indexOf(focus);
      focus = seen[Math.min(Math.max(now + step, 0), seen.length - 1)];
    } else if (event.key === "+" || event.key === "-") {
      const middle = focus ?? (from + to) / 2, half = (to - from) / 2 * (event.key === "+" ? 0.6 : 1.7);
      zoom(middle - half, middle + half);
    } else if (event.key === "Escape" || event.key === "0") { leave(); zoom(...whole); } else return;
    event.preventDefault();
    paint();
  });
  new ResizeObserver(() => { if (figure.clientWidth && Math.max(figure.clientWidth, 260) !== width) paint(); }).observe(figure);
  paint();
}
