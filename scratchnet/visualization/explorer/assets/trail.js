// Where one value comes from: exact for layers that select or copy, the largest term for layers that sum.

// The terms of a sum over a kernel: {n, y, x, i, j, value, weight} for the maps of this page.
function terms(layer, m, y, x) {
  const [link] = layer.links, before = layers[link.from], found = [];
  const [kh, kw] = link.kernel, inputs = before.channels.length;
  const own = layer.kind === "blend" || layer.keeps ? sameMap(layer, m, link) : null;
  for (let i = 0; i < kh; i++) {
    const row = inputIndex(link, 0, y, i, before.height);
    if (row === null) continue;
    for (let j = 0; j < kw; j++) {
      const column = inputIndex(link, 1, x, j, before.width);
      if (column === null) continue;
      for (let n = 0; n < inputs; n++) {
        if (own !== null && n !== own) continue;
        found.push({ n, y: row, x: column, i, j, value: value(before, n, row, column), weight: weight(layer, m, n, i, j) });
      }
    }
  }
  return found;
}

// The input index of output index o at kernel position i; null for padding and gaps.
function inputIndex(link, axis, o, i, size) {
  const shift = i * link.dilation[axis] - link.padding[axis], s = link.stride[axis];
  const index = link.transposed ? (o - shift) / s : o * s + shift;
  return Number.isInteger(index) && index >= 0 && index < size ? index : null;
}

// The number on this page of the map of `link`'s layer that is the same as map m here; null if it is not shown.
function sameMap(layer, m, link) {
  const found = layers[link.from].channels.indexOf(layer.channels[m] - link.first);
  return found < 0 ? null : found;
}

// All windows of the pooling (row, column, position in the window) that contain pixel (y, x) of its input.
function windowsOver(link, y, x, pool) {
  const found = [];
  const [kh, kw] = link.kernel;
  const over = { ...link, transposed: true };
  for (let i = 0; i < kh; i++) {
    for (let j = 0; j < kw; j++) {
      const row = inputIndex(over, 0, y, i, pool.height), column = inputIndex(over, 1, x, j, pool.width);
      if (row !== null && column !== null) found.push({ y: row, x: column, place: i * kw + j });
    }
  }
  return found;
}

// One step back: {layer, m, y, x}, or null if the value has no source or its map is not on this page.
function stepBack(number, m, y, x) {
  const layer = layers[number], [link] = layer.links;
  const at = (map, row, column) => (map === null ? null : { layer: link.from, m: map, y: row, x: column });
  if (layer.kind === "input") return null;
  if (layer.kind === "classes") return at(layer.keeps ? sameMap(layer, m, link) : 0, y, x);
  if (layer.kind === "pool") {
    const place = switchAt(layer, m, y, x), kw = link.kernel[1];
    const row = y * link.stride[0] - link.padding[0] + Math.floor(place / kw);
    return at(sameMap(layer, m, link), row, x * link.stride[1] - link.padding[1] + (place % kw));
  }
  if (layer.kind === "unpool") {
    const pool = layers[layer.links[1].from], map = sameMap(layer, m, layer.links[1]);
    const hit = windowsOver(link, y, x, pool).find((window) => switchAt(pool, map, window.y, window.x) === window.place);
    return hit ? at(sameMap(layer, m, link), hit.y, hit.x) : null;
  }
  if (layer.kind === "add" || layer.kind === "concat") {
    const sources = layer.links.map((l) => ({ layer: l.from, m: sameMap(layer, m, l), y, x })).filter((s) => s.m !== null);
    const size = (s) => Math.abs(value(layers[s.layer], s.m, y, x));
    return sources.length ? sources.reduce((a, b) => (size(b) > size(a) ? b : a)) : null;
  }
  if (layer.kind === "copy" || layer.kind === "frame" || layer.kind === "pixelwise") {
    const [kh, kw] = link.kernel;
    for (let i = 0; i < kh; i++) {
      for (let j = 0; j < kw; j++) {
        const row = inputIndex(link, 0, y, i, layers[link.from].height), column = inputIndex(link, 1, x, j, layers[link.from].width);
        if (row !== null && column !== null) return at(sameMap(layer, m, link), row, column);
      }
    }
    return null;
  }
  const size = (term) => Math.abs(term.value * term.weight);
  const best = terms(layer, m, y, x).reduce((a, b) => (a && size(a) >= size(b) ? a : b), null);
  return best && at(best.n, best.y, best.x);
}

// The pixel of layer `to` at the same image position as pixel (y, x) of layer `from`.
function sameSpot(from, to, y, x) {
  return [y, x].map((index, axis) => {
    const [start, jump] = layers[from].over[axis], [begin, step] = layers[to].over[axis];
    const near = Math.round((start + jump * index - begin) / step);
    return Math.min(Math.max(near, 0), layers[to].size[axis] - 1);
  });
}

// The pixel in every layer that corresponds to the anchor: its source, or the same position.
function places(anchor) {
  const found = [];
  let step = { ...anchor };
  while (step) {
    found[step.layer] = { m: step.m, y: step.y, x: step.x, trail: true };
    step = stepBack(step.layer, step.m, step.y, step.x);
  }
  const channel = layers[anchor.layer].channels[anchor.m];
  return layers.map((layer, i) => {
    if (found[i]) return found[i];
    const [y, x] = sameSpot(anchor.layer, i, anchor.y, anchor.x);
    if (layer.kind === "classes") return { m: likeliest(layer, y, x), y, x, trail: false };
    const sameMaps = layer.channels.length === layers[anchor.layer].channels.length && layer.channels.every((c, k) => c === layers[anchor.layer].channels[k]);
    return { m: sameMaps ? layer.channels.indexOf(channel) : 0, y, x, trail: false };
  });
}

function likeliest(layer, y, x) {
  const m = layer.channels.indexOf(layer.mask[y * layer.width + x]);
  return Math.max(m, 0);
}
