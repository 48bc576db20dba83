"use strict";
// Sorting of tables, filters of long ones, and buttons that copy commands.
const make = (tag, values = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name in node && name !== "style") node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

const UNITS = { ms: 1e-3, s: 1, min: 60, h: 3600, kB: 1e3, MB: 1e6, GB: 1e9 };
// "98.74 % (97 to 99)" is 98.74, "1 h 07 min" 4020, "-" nothing
function sortValue(text) {
  const shown = text.trim().replace(/(\d),(?=\d{3}\b)/g, "$1");
  const time = /^(?:([\d.]+) h )?(?:([\d.]+) min)(?: ([\d.]+) s)?/.exec(shown);
  if (time) return (time[1] || 0) * 3600 + time[2] * 60 + Number(time[3] || 0);
  const found = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?: (ms|s|h|kB|MB|GB)\b)?/i.exec(shown);
  if (found && /^(?:$|[\s%(±])/.test(shown.slice(found[0].length))) return found[1] * (UNITS[found[2]] || 1);
  return shown === "-" || shown === "" ? null : shown;
}

function compareValues(one, other) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    if (!head.textContent.trim() || body.rows.length < 2) return;
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.closest("table").classList.contains("n" + (column + 1)) ? "descending" : "ascending";
      const now = head.getAttribute("aria-sort");
      const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [row, sortValue(row.cells[column]?.textContent ?? "")]);
      rows.sort(([, one], [, other]) =>
        one === null || other === null ? compareValues(one, other) : sign * compareValues(one, other));
      body.append(...rows.map(([row]) => row));
    });
  });
}

function addFilter(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 12) return;
  const input = make("input", { type: "search", placeholder: "filter rows", ariaLabel: "filter rows" });
  const told = make("span", { role: "status" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    told.textContent = words.length ? `${count} of ${rows.length}` : "";
  });
  (table.closest(".scroll") ?? table).before(make("div", { className: "tools" }, input, told));
}

document.querySelectorAll("table.sortable").forEach((table) => { makeSortable(table); addFilter(table); });

document.querySelectorAll("main pre").forEach((pre) => {
  let box = pre.closest(".copyable");
  if (!box && !/^expkit /.test(pre.textContent)) return;
  if (!box) { box = make("div", { className: "copyable" }); pre.replaceWith(box); box.append(pre); }
  const button = make("button", { type: "button" }, "copy");
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(pre);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = document.execCommand("copy") ? "copied" : "selected";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  box.append(button);
});
