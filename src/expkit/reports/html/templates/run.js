"use strict";
// The page of a run: its charts, the confusion matrix with its samples, and the map of a puzzle.
const data = JSON.parse(document.getElementById("data").textContent);
document.querySelectorAll("[data-chart]").forEach((figure) => {
  drawChart(figure, figure.dataset.chart === "calibration" ? data.calibration : data.charts[figure.dataset.chart]);
});

const percentOf = (value) => `${(100 * value).toFixed(2)} %`;
const sortableTable = (header, rows, numbers) => {
  const table = make("table", { className: ["sortable", ...numbers.map((each) => "n" + each)].join(" ") },
    make("thead", {}, make("tr", {}, ...header.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))))));
  makeSortable(table);
  return table;
};

function showErrors(isShown, told) {
  const { errors } = data.confusion, place = document.getElementById("errors");
  const chosen = errors.filter(isShown);
  const rows = chosen.map(([target, said, sample, confidence]) => [sample, data.classes[target], data.classes[said], percentOf(confidence)]);
  const table = sortableTable(["sample", "true class", "predicted", "confidence"], rows, [4]);
  const scroll = make("div", { className: "scroll" }, table);
  place.replaceChildren(scroll);
  if (told) {
    const all = make("button", { type: "button" }, "show all errors");
    all.addEventListener("click", () => showErrors(() => true, ""));
    place.prepend(make("div", { className: "tools", role: "status" }, `${told}: ${chosen.length} listed`, all));
  } else addFilter(table);
}

function chooseErrors(target, said) {
  showErrors(([one, other]) => one === target && other === said, `${data.classes[target]} taken for ${data.classes[said]}`);
  document.getElementById("errors").scrollIntoView({ block: "center" });
}

function drawMatrix(place, counts) {
  const names = data.classes, sums = counts.map((row) => row.reduce((one, other) => one + other, 0));
  const table = make("table", { className: "matrix" },
    make("thead", {}, make("tr", {}, make("th", {}, "true \\ predicted"), ...names.map((name) => make("th", { scope: "col", title: name }, name)))));
  const body = make("tbody");
  counts.forEach((row, target) => {
    const line = make("tr", {}, make("th", { scope: "row", title: names[target] }, names[target]));
    row.forEach((count, said) => {
      const cell = make("td");
      if (count) {
        const part = count / sums[target], text = `${names[target]} → ${names[said]}: ${count} of ${sums[target]}, ${percentOf(part)}`;
        cell.className = (target === said ? "some" : "off") + (part > 0.5 ? " strong" : "");
        cell.style.setProperty("--part", `${Math.round(12 + 88 * part)}%`);
        cell.title = text;
        if (target === said) cell.textContent = count;
        else {
          const button = make("button", { type: "button", ariaLabel: text }, String(count));
          button.addEventListener("click", () => chooseErrors(target, said));
          cell.append(button);
        }
      }
      line.append(cell);
    });
    body.append(line);
  });
  table.append(body);
  place.append(make("div", { className: "scroll" }, table));
}

function drawPairs(place, pairs, count) {
  if (!pairs.length) { place.append("No class was taken for another."); return; }
  const rows = pairs.map(([target, said, times, sureness]) => {
    const button = make("button", { type: "button" }, "list");
    button.addEventListener("click", () => chooseErrors(target, said));
    return [data.classes[target], data.classes[said], String(times), percentOf(sureness), button];
  });
  if (count > pairs.length) place.append(make("p", { className: "soft" }, `The ${pairs.length} most frequent of ${count} confused pairs.`));
  place.append(make("div", { className: "scroll" }, sortableTable(["true class", "predicted", "samples", "mean confidence", ""], rows, [3, 4])));
}

if (data.confusion) {
  const place = document.getElementById("confusions");
  if (data.confusion.counts) drawMatrix(place, data.confusion.counts); else drawPairs(place, data.confusion.pairs, data.confusion.num_pairs);
  showErrors(() => true, "");
}

const CELL = 14;
function drawPuzzle(figure, puzzle) {
  const canvas = figure.querySelector("canvas"), tools = figure.querySelector(".tools"), tip = document.getElementById("tip");
  const size = Math.max(4, Math.min(CELL, Math.floor(1600 / puzzle.columns)));
  canvas.width = puzzle.columns * size; canvas.height = puzzle.rows * size;
  const byCell = new Map();
  puzzle.cells.forEach((cell, sample) => byCell.set(cell, [...(byCell.get(cell) ?? []), sample]));
  let state = puzzle.states.at(-1), cursor = 0;
  const where = (cell) => `(${cell % puzzle.columns}, ${Math.floor(cell / puzzle.columns)})`;
  function paint() {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const [cell, samples] of byCell) {
      const right = samples.filter((sample) => state.right[sample] === "1").length / samples.length;
      const x = cell % puzzle.columns * size, y = Math.floor(cell / puzzle.columns) * size;
      if (right < 1) {
        context.fillStyle = `rgba(213, 70, 0, ${0.25 + 0.4 * (1 - right)})`;
        context.fillRect(x, y, size, size);
      }
      if (right >= 0.5) continue;
      context.strokeStyle = "rgba(25, 12, 0, .9)"; context.lineWidth = 1.2;
      context.beginPath();
      context.moveTo(x + size * 0.25, y + size * 0.25); context.lineTo(x + size * 0.75, y + size * 0.75);
      context.moveTo(x + size * 0.75, y + size * 0.25); context.lineTo(x + size * 0.25, y + size * 0.75);
      context.stroke();
    }
    figure.querySelector("figcaption").textContent = `${puzzle.split}, ${state.name}: ${state.told}`;
  }
  function tell(cell, x, y) {
    const samples = byCell.get(cell) ?? [];
    const lines = samples.slice(0, 6).map((sample) => {
      const said = state.predictions[sample], target = puzzle.targets[sample];
      const name = (each) => puzzle.classes_are_cells ? where(each) : data.classes[each] ?? each;
      return state.right[sample] === "1" ? `${name(target)}: right` : `${name(target)} taken for ${name(said)}`;
    });
    tip.textContent = [`piece (column, row) ${where(cell)}`, ...lines].join("\n");
    tip.hidden = false;
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 6))}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - tip.offsetHeight - 6))}px`;
  }
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / box.width * puzzle.columns);
    const row = Math.floor((event.clientY - box.top) / box.height * puzzle.rows);
    cursor = row * puzzle.columns + column;
    tell(cursor, event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("blur", () => { tip.hidden = true; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -puzzle.columns, ArrowDown: puzzle.columns }[event.key];
    if (!step) return;
    event.preventDefault();
    cursor = Math.min(Math.max(cursor + step, 0), puzzle.rows * puzzle.columns - 1);
    const box = canvas.getBoundingClientRect();
    tell(cursor, box.left + (cursor % puzzle.columns + 0.5) / puzzle.columns * box.width, box.top + (Math.floor(cursor / puzzle.columns) + 0.5) / puzzle.rows * box.height);
  });
  if (puzzle.states.length > 1) {
    puzzle.states.forEach((each) => {
      const button = make("button", { type: "button", ariaCurrent: String(each === state) }, each.name);
      button.addEventListener("click", () => {
        state = each;
        tools.querySelectorAll("button").forEach((other) => { other.ariaCurrent = String(other === button); });
        paint();
      });
      tools.append(button);
    });
  }
  paint();
}
document.querySelectorAll("[data-puzzle]").forEach((figure) => drawPuzzle(figure, data.puzzles[figure.dataset.puzzle]));
