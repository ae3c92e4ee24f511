// Parts of the widgets: sliders for the geometry, grids of values of which one is selected, and both operations.

const LABELS = { kernel: "kernel size k", stride: "stride s", padding: "padding p", dilation: "dilation d" };
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// Sliders for the entries of `ranges`, { stride: [smallest, largest, at first], … }. `changed` runs after every change
// of the returned object, { stride: 2, … }.
function sliders(root, ranges, changed) {
  const geometry = {}, box = element("div", { class: "sliders" });
  for (const [name, [low, high, first]] of Object.entries(ranges)) {
    const input = element("input", { type: "range", min: low, max: high, value: first, "data-name": name });
    const shown = element("output", {}, String(first));
    geometry[name] = first;
    input.addEventListener("input", () => {
      geometry[name] = Number(input.value);
      shown.textContent = input.value;
      changed();
    });
    box.append(element("label", {}, element("span", {}, LABELS[name]), input, shown));
  }
  root.append(box);
  return geometry;
}

// A choice between kernels, { name: function of the size }; returns a function that computes the chosen one.
function kernelChoice(root, kernels, changed) {
  const names = Object.keys(kernels), select = element("select", { "data-name": "values" });
  select.append(...names.map((name) => element("option", { value: name }, name)));
  select.addEventListener("change", changed);
  root.append(element("label", { class: "choice" }, element("span", {}, "kernel"), select));
  return (size) => kernels[select.value](size);
}

// A titled grid. draw(rows, columns, cell) shows what cell(y, x) returns: { value, strength, classes, blank }.
// With `chosen`, an element is selected by a pointer or by the arrow keys: chosen(y, x).
function grid(root, name, title, colour, chosen) {
  const cells = element("div", { class: "cells", "data-grid": name, style: `--role: var(--${colour})` });
  const box = element("figure", {}, element("figcaption", {}, title), cells);
  const own = { box, rows: 0, columns: 0, y: 0, x: 0 };
  root.append(box);
  if (chosen) listenToCells(own, cells, title, chosen);
  own.draw = (rows, columns, cell) => {
    Object.assign(own, { rows, columns });
    cells.style.setProperty("--columns", columns);
    cells.replaceChildren();
    for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) cells.append(square(cell(y, x), columns));
  };
  own.select = (y, x) => Object.assign(own, { y: Math.max(0, Math.min(y, own.rows - 1)), x: Math.max(0, Math.min(x, own.columns - 1)) });
  return own;
}

function square({ value, strength = 0, classes = "", blank = false }, columns) {
  const text = blank ? "" : short(value, columns);
  return element("span", { class: classes, "data-value": value, style: `--strength: ${Math.round(55 * Math.min(1, strength))}%` }, text);
}

// A value in few characters: whole numbers as they are, others with one decimal if there is space.
function short(value, columns) {
  const text = Math.abs(value - Math.round(value)) < 1e-6 ? String(Math.round(value)) : columns > 9 ? "" : value.toFixed(Math.abs(value) < 10 ? 1 : 0);
  return text.replace("-", "−");
}

function listenToCells(own, cells, title, chosen) {
  const move = (y, x) => { own.select(y, x); chosen(own.y, own.x); };
  cells.tabIndex = 0;
  cells.setAttribute("role", "application");
  cells.setAttribute("aria-label", `${title}: the arrow keys select an element`);
  cells.classList.add("chooses");
  const point = (event) => {
    const box = cells.getBoundingClientRect();
    move(Math.floor(((event.clientY - box.top) / box.height) * own.rows), Math.floor(((event.clientX - box.left) / box.width) * own.columns));
  };
  cells.addEventListener("pointerdown", point);
  cells.addEventListener("pointermove", (event) => { if (event.buttons && event.pointerType !== "touch") point(event); });
  cells.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(own.y + step[0], own.x + step[1]);
  });
}

// One map with one channel.
function mapOf(rows) {
  return { height: rows.length, width: rows[0].length, channels: 1, data: Float32Array.from(rows.flat()) };
}

function stepOf({ kernel, stride, padding, dilation }, weight) {
  const both = (value) => [value, value];
  return { channels: [1, 1], groups: 1, kernel: both(kernel), stride: both(stride), padding: both(padding), dilation: both(dilation), weight: Float32Array.from(weight), bias: null };
}

// The pixels that a kernel covers along one axis, with those that it skips.
const reach = ({ kernel, dilation }) => dilation * (kernel - 1) + 1;

// The rows of an output: of a convolution, and of a transposed convolution; 0 if there are none.
const rowsConvolved = (h, geometry) => Math.max(0, Math.floor((h + 2 * geometry.padding - reach(geometry)) / geometry.stride) + 1);
const rowsTransposed = (h, geometry) => Math.max(0, (h - 1) * geometry.stride + reach(geometry) - 2 * geometry.padding);

// The output of an operation of the live page's engine, for a square map.
function compute(operation, rows, x, geometry, weight) {
  const size = rows(x.height, geometry), y = { height: size, width: size, channels: 1, data: new Float32Array(size * size) };
  if (size) operation(x, stepOf(geometry, weight), y);
  return y;
}

const signed = (value) => (value < 0 ? `(${format1(value)})` : format1(value));
const format1 = (value) => (Math.abs(value - Math.round(value)) < 1e-6 ? String(Math.round(value)) : String(Number(value.toFixed(3)))).replace("-", "−");
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
