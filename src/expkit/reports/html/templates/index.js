"use strict";
// The list of runs: rows as they scroll into view, a filter, an order, and a choice side by side.
const data = JSON.parse(document.getElementById("data").textContent);
const runs = data.rows.map((row) => {
  const run = Object.fromEntries(data.columns.map((name, place) => [name, row[place]]));
  return Object.assign(run, row.at(-1));
});
for (const run of runs) {
  const judged = run.judged ? `${run.judged}/` : "";
  run.known = { name: run.name, kind: run.kind, status: run.status, verdict: run.verdict, started: run.started,
    seconds: run.seconds, tags: run.tags, findings: run.findings, ...run.settings, ...run.choices, ...run.metrics };
  for (const [name, value] of Object.entries(run.metrics)) if (judged && name.startsWith(judged)) run.known[name.slice(judged.length)] = value;
  run.text = [run.name, run.status, run.verdict, run.remark, ...run.findings, ...run.tags, ...Object.values(run.choices), ...run.notes.map((note) => note[1])].join("\n").toLowerCase();
}
const keys = [...new Set(runs.flatMap((run) => Object.keys(run.known)))];
document.getElementById("keys").textContent = keys.join(", ");

function shownTime(seconds) {
  if (seconds === null) return "";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
const COLUMNS = [
  ["run", (run) => run.name, true], ["started", (run) => run.started], ["model", (run) => run.choices.model ?? ""],
  ["dataset", (run) => run.choices.dataset ?? ""], ["status", (run) => run.status], ["measured", (run) => run.objective],
  ["figure (interval)", (run) => run.value, false, (run) => run.shown], ["verdict", (run) => run.verdict],
  ["findings", (run) => run.findings.join(", ")], ["tags", (run) => run.tags.join(", ")],
  ["time", (run) => run.seconds, false, (run) => shownTime(run.seconds)], ["size", (run) => run.num_bytes, false, (run) => run.size],
];
const ROW = 37, MORE = 12;
const list = document.querySelector(".list"), table = document.getElementById("runs"), body = table.tBodies[0];
const chosen = new Set();
let shown = runs, order = null;

function link(run) {
  if (!run.page) return document.createTextNode(run.name);
  return make("a", { href: [...run.name.split("/"), ...run.page.split("/")].map(encodeURIComponent).join("/").replace(/^/, "./") }, run.name);
}

function line(run, place) {
  const box = make("input", { type: "checkbox", checked: chosen.has(run), ariaLabel: `choose ${run.name}` });
  box.addEventListener("change", () => { box.checked ? chosen.add(run) : chosen.delete(run); showBeside(); });
  const row = make("tr", {}, make("td", {}, box));
  row.setAttribute("aria-rowindex", place + 2);
  for (const [name, value, isLink, text] of COLUMNS) {
    const told = text ? text(run) : value(run) ?? "";
    const cell = make("td", { title: isLink && run.remark ? run.remark : String(told) }, isLink ? link(run) : String(told));
    if (name === "verdict") cell.className = { met: "met", "not met": "not-met" }[told] ?? "";
    row.append(cell);
  }
  return row;
}

function paint(isWhole = false) {
  const from = isWhole ? 0 : Math.max(0, Math.floor(list.scrollTop / ROW) - MORE);
  const to = isWhole ? shown.length : Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + MORE);
  const gap = (count) => { const row = make("tr", { ariaHidden: "true" }); row.style.height = `${count * ROW}px`; return row; };
  body.replaceChildren(...(from ? [gap(from)] : []), ...shown.slice(from, to).map((run, place) => line(run, from + place)), ...(to < shown.length ? [gap(shown.length - to)] : []));
  table.setAttribute("aria-rowcount", shown.length + 1);
}

const OPERATORS = { "=": (one) => one === 0, "!=": (one) => one !== 0, "<": (one) => one < 0, ">": (one) => one > 0, "<=": (one) => one <= 0, ">=": (one) => one >= 0 };
const written = (value) => value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
function holds(value, operator, asked) {
  if (Array.isArray(value) && (operator === "=" || operator === "!=")) return value.map(written).includes(asked) === (operator === "=");
  if (value === undefined || value === null || value === "") return operator === "!=" || (operator === "=" && asked === "null" && value === null);
  const percent = /^[\d.]+%$/.test(asked) ? parseFloat(asked) / 100 : Number(asked);
  const isNumber = asked !== "" && !Number.isNaN(percent) && typeof value === "number";
  if (!isNumber && "<>".includes(operator[0]) && typeof value === "number") return false;
  return OPERATORS[operator](isNumber ? value - percent : written(value) === asked ? 0 : written(value) < asked ? -1 : 1);
}
function distance(one, other) {
  let row = [...Array(other.length + 1).keys()];
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (one[i - 1] !== other[j - 1]));
    row = next;
  }
  return row.at(-1);
}

function filter() {
  const words = document.getElementById("filter").value.match(/(?:[^\s"]|"[^"]*")+/g) ?? [], tests = [];
  let problem = "";
  for (const word of words.map((each) => each.replaceAll('"', ""))) {
    const found = /^([^=<>!]+)(!=|<=|>=|=|<|>)(.*)$/s.exec(word);
    if (!found) { const text = word.toLowerCase(); tests.push((run) => run.text.includes(text)); continue; }
    const [, key, operator, asked] = found;
    if (!keys.includes(key)) {
      const nearest = keys.map((each) => [distance(each, key), each]).sort(([one], [other]) => one - other)[0];
      problem = `no run has '${key}'` + (nearest && nearest[0] <= Math.max(2, key.length / 3) ? `; nearest: ${nearest[1]}` : "");
    }
    if (asked !== "") tests.push((run) => holds(run.known[key], operator, asked));
  }
  shown = runs.filter((run) => tests.every((test) => test(run)));
  if (order) sortShown();
  document.getElementById("count").textContent = tests.length ? `${shown.length} of ${runs.length}` : `${runs.length} run${runs.length === 1 ? "" : "s"}`;
  document.getElementById("problem").textContent = problem;
  list.scrollTop = 0;
  paint();
}

function sortShown() {
  const value = COLUMNS[order.column][1], sign = order.descends ? -1 : 1;
  const pairs = shown.map((run) => [run, value(run) === "" ? null : value(run) ?? null]);
  pairs.sort(([, one], [, other]) => one === null || other === null ? compareValues(one, other) : sign * compareValues(one, other));
  shown = pairs.map(([run]) => run);
}

const head = table.tHead.rows[0];
head.append(make("th", { scope: "col" }, make("span", { className: "hidden" }, "choose")));
COLUMNS.forEach(([name, value], column) => {
  const button = make("button", { type: "button" }, name), cell = make("th", { scope: "col" }, button);
  button.addEventListener("click", () => {
    const isNumber = shown.some((run) => typeof value(run) === "number");
    const descends = order?.column === column ? !order.descends : isNumber || name === "started";
    order = { column, descends };
    [...head.cells].forEach((each) => each.removeAttribute("aria-sort"));
    cell.setAttribute("aria-sort", descends ? "descending" : "ascending");
    sortShown();
    paint();
  });
  head.append(cell);
});

const MOST = 8;
const quoted = (text) => /^[\w@%+=:,.\/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
function showBeside() {
  const picked = [...chosen].slice(0, MOST), place = document.getElementById("beside");
  document.getElementById("side").hidden = picked.length < 2;
  if (picked.length < 2) return;
  const rowOf = (name, cells) => [name, ...cells];
  const union = (part) => [...new Set(picked.flatMap((run) => Object.keys(run[part])))];
  const differing = ["choices", "settings"].flatMap((part) => union(part).map((key) => rowOf(key, picked.map((run) => key in run[part] ? written(run[part][key]) : "-"))))
    .filter((cells) => new Set(cells.slice(1)).size > 1);
  const percent = /(?:accuracy|precision|recall|f1|fraction)$/;
  const figures = union("metrics").map((key) => rowOf(key, picked.map((run) => shownNumber(run.metrics[key] ?? null, percent.test(key)))));
  const told = [["status", "status"], ["verdict", "verdict"], ["started", "started"]].map(([name, key]) => rowOf(name, picked.map((run) => run[key] ?? "")));
  told.push(rowOf("findings", picked.map((run) => run.findings.join(", ") || "-")), rowOf("time", picked.map((run) => shownTime(run.seconds))));
  const grid = (title, rows) => rows.length ? [make("h3", {}, title), make("div", { className: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, ""), ...picked.map((run) => make("th", { scope: "col" }, link(run))))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, make("th", { scope: "row" }, cells[0]), ...cells.slice(1).map((cell) => make("td", {}, cell)))))))] : [];
  const charts = [...new Set(picked.map((run) => run.curve?.metric).filter(Boolean))].map((metric) => {
    const figure = make("figure", { className: "chart" });
    const isPercent = metric.endsWith("accuracy");
    const lines = picked.filter((run) => run.curve?.metric === metric).map((run) => ({ name: run.name, kind: "line", points: run.curve.points }));
    return [figure, { title: metric, x: "epoch", y: metric, log: false, percent: isPercent, low: 0, high: isPercent ? 1 : null, ends: null, lines, levels: [], marks: [] }];
  });
  const clear = make("button", { type: "button" }, "choose none");
  clear.addEventListener("click", () => { chosen.clear(); showBeside(); paint(); });
  const more = chosen.size > MOST ? ` The first ${MOST} of ${chosen.size} are shown.` : "";
  place.replaceChildren(make("div", { className: "tools" }, `${chosen.size} chosen.${more}`, clear), ...grid("Runs", told), ...grid("Settings that differ", differing), ...grid("Figures", figures),
    ...charts.map(([figure]) => figure), make("pre", {}, make("code", {}, `expkit compare ${picked.map((run) => quoted(run.name)).join(" ")}`)));
  charts.forEach(([figure, chart]) => drawChart(figure, chart));
}

let waiting = 0;
document.getElementById("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, runs.length > 2000 ? 150 : 20); });
document.getElementById("ask").addEventListener("submit", (event) => { event.preventDefault(); filter(); });
list.addEventListener("scroll", () => requestAnimationFrame(() => paint()));
addEventListener("resize", () => paint());
addEventListener("beforeprint", () => paint(shown.length <= 2000));
addEventListener("afterprint", () => paint());
filter();
