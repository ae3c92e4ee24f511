// The network as an hourglass: the encoder on the left, the decoder on the right, one row per scale.

const boxes = [];

function drawNetwork(root) {
  const deepest = Math.max(...layers.map((layer) => layer.level));
  const cells = new Map();
  layers.forEach((layer, number) => {
    const key = `${layer.part}${layer.level}`;
    if (!cells.has(key)) {
      const cell = element("div", { class: `cell ${layer.part}`, style: `grid-row:${layer.level + 1}` });
      cell.level = layer.level;
      cells.set(key, cell);
      root.append(cell);
    }
    cells.get(key).append(box(layer, number));
  });
  for (let level = 0; level < deepest; level++) root.append(crossings(level));
  const fit = () => cells.forEach((cell) => fitCell(cell, root));
  new ResizeObserver(fit).observe(root);
  fit();
}

function box(layer, number) {
  const picture = new Picture(number, layer.kind === "input" || layer.kind === "classes" ? MASK : 0);
  const [h, w, c] = layer.size;
  const node = element(
    "button", { class: `box ${layer.kind}`, type: "button", tabindex: "-1", "data-layer": layer.name, title: `${layer.name}: ${layer.words}`,
      "aria-label": `${layer.name}: ${layer.words}, ${h}×${w} pixels, ${c} maps` },
    picture.root, element("span", { class: "name" }, ...breakable(layer.name)), element("span", { class: "size" }, `${h}×${w}×${c}`),
  );
  Object.assign(node, { number, picture });
  boxes.push(node);
  return node;
}

// A name that may wrap onto a second line.
function breakable(name) {
  return name.split(/(?<=[_-])/).flatMap((piece, i) => (i ? [element("wbr"), piece] : [piece]));
}

// Pictures as large as the cell allows, slightly smaller at each coarser scale.
function fitCell(cell, root) {
  const wide = root.clientWidth > 560, count = cell.children.length, gap = wide ? 8 : 4;
  const most = (wide ? 96 : 64) * 0.9 ** cell.level, least = wide ? 58 : 42;
  let rows = 0, room = 0;
  while (room < least && rows < count) {
    const across = Math.ceil(count / ++rows);
    room = (cell.clientWidth - gap * (across - 1)) / across - 4;
  }
  cell.style.setProperty("--side", `${Math.floor(Math.min(rows > 1 ? Math.max(least, 0.75 * most) : most, room))}px`);
}

// Skips from the encoder to the decoder at one scale: switches, and maps that are merged later.
function crossings(level) {
  const cell = element("div", { class: "crossings", style: `grid-row:${level + 1}`, "aria-hidden": "true" });
  const seen = new Set();
  for (const layer of layers) {
    if (layer.part !== "up" || layer.level !== level) continue;
    for (const link of layer.links) {
      const from = layers[link.from], words = link.switches ? `switches of ${from.name}` : from.name;
      const crosses = from.part === "down" || (link.switches && from.part === "floor");
      if (!crosses || seen.has(words)) continue;
      seen.add(words);
      cell.append(element("span", { class: link.switches ? "crossing switches" : "crossing" }, element("em", {}, ...breakable(words))));
    }
  }
  return cell;
}

function markNetwork(state) {
  boxes.forEach((node, number) => {
    const place = state.places[number], field = state.fields[number], layer = layers[number];
    if (layer.kind !== "input" && layer.kind !== "classes") node.picture.show(number, place.m);
    node.picture.mark(field, place, number > state.anchor.layer);
    node.classList.toggle("looked", number === state.look);
    node.tabIndex = number === state.look ? 0 : -1;
    node.setAttribute("aria-pressed", String(number === state.look));
    node.dataset.place = `${place.y} ${place.x} ${layer.channels[place.m]}`;
    node.dataset.trail = place.trail ? "yes" : "no";
    node.dataset.field = field ? field.join(" ") : "";
  });
}
