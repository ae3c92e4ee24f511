// Text, values and small figures for the explanations of the layers.

function paragraph(...parts) {
  return element("p", {}, ...parts.map((part) => (typeof part === "string" && part.startsWith("*") ? element("b", {}, part.slice(1)) : part)));
}

function equation(...parts) {
  return element("div", { class: "equation" }, ...parts.map((part) => (typeof part === "string" ? element("span", {}, part) : part)));
}

// A figure with its caption; `role` sets the colour for input, weight, output or switch.
function part(figure, caption, role) {
  return element("figure", role ? { style: `--role:var(--${role})` } : {}, figure, element("figcaption", {}, caption));
}

function mapName(number, m) {
  const layer = layers[number];
  return layer.kind === "input" ? `the image’s ${pictureName(layer, m)}` : `${pictureName(layer, m)} of ${layer.name}`;
}

function lines(first, count) {
  return count === 1 ? `${first}` : `${first}–${first + count - 1}`;
}

function place(link, index) {
  const [kh, kw] = link.kernel, row = Math.floor(index / kw), column = index % kw;
  if (kh !== 2 || kw !== 2) return `row ${row}, column ${column}`;
  return `${["upper", "lower"][row]} ${["left", "right"][column]}`;
}

function largestOf(layer) {
  return Math.max(...layer.scale) * (255 - layer.zero);
}

function scaleOf(layer, m) {
  return layer.scale[m] * (255 - layer.zero);
}

function afterwards(layer) {
  return layer.after.length ? `, then ${layer.after.join(" and ")}` : "";
}

function sign(number) {
  return number > 0 ? `+${format(number)}` : format(number);
}

const nothing = () => paragraph("This page does not include the source map of this value; ", element("code", {}, "--maps"), " adds more maps.");

function capital(words) {
  return words[0].toUpperCase() + words.slice(1);
}

// The values of an unpooled map inside one window.
function unpooled(layer, link, m, window) {
  const [kh, kw] = link.kernel, top = window.y * link.stride[0] - link.padding[0], left = window.x * link.stride[1] - link.padding[1];
  const inside = (row, column) => row >= 0 && column >= 0 && row < layer.height && column < layer.width;
  return [...Array(kh).keys()].map((i) => [...Array(kw).keys()].map((j) => (inside(top + i, left + j) ? value(layer, m, top + i, left + j) : null)));
}

// Bars of the class probabilities at a pixel of the last layer, the most probable first if there are many.
function scoreBars(y, x) {
  const layer = layers[layers.length - 1];
  const rows = layer.channels.map((channel, m) => ({ ...page.classes[channel], p: value(layer, m, y, x) }));
  if (rows.length > 6) rows.sort((a, b) => b.p - a.p);
  return rows.slice(0, 6).map(({ name, colour, p }) =>
    element("div", { class: "score-row" }, element("span", { class: "class" }, element("i", { style: `background:${colour}` }), name),
      element("span", { class: "track" }, element("i", { style: `width:${100 * p}%` })), element("b", {}, `${Math.round(100 * p)} %`)));
}
