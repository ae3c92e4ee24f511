// Maps as pictures, and the marks on them. Larger values are darker, as in all figures.

const MASK = -1; // the overlay of all classes on the image

// Pictures of a layer: the photograph, the mask and all classes, or its maps.
function picturesOf(layer) {
  return layer.kind === "input" ? [MASK] : layer.kind === "classes" ? [MASK, ...layer.channels.keys()] : [...layer.channels.keys()];
}

function pictureName(layer, m) {
  if (layer.kind === "input") return m === MASK ? "the image" : page.colours[layer.channels[m]];
  if (layer.kind === "classes") return m === MASK ? "all classes" : page.classes[layer.channels[m]].name;
  return `map ${layer.channels[m]}`;
}

function paint(canvas, layer, m) {
  const { width, height } = layer;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = m === MASK ? layer.photo[3 * i + c] : 255 - layer.maps[m * width * height + i];
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

// A picture of map m of a layer with its marks; `show` selects the map.
class Picture {
  constructor(number, m, root = element("div", { class: "map" })) {
    this.root = root;
    this.canvas = element("canvas");
    this.field = element("i", { class: "field" });
    this.pixel = element("i", { class: "pixel" });
    root.append(this.canvas, this.field, this.pixel);
    root.picture = this;
    this.show(number, m);
  }

  show(number, m) {
    if (this.number === number && this.m === m) return;
    [this.number, this.m] = [number, m];
    paint(this.canvas, layers[number], m);
    this.root.style.setProperty("--ratio", `${layers[number].width} / ${layers[number].height}`);
  }

  // Frame a field [top, left, bottom, right] or null, in a layer before or after the anchor, and ring one pixel.
  mark(field, place, later) {
    const { width, height } = layers[this.number];
    const put = (mark, [top, left, bottom, right]) => {
      mark.style.inset = `${(100 * top) / height}% ${(100 * (width - right)) / width}% ${(100 * (height - bottom)) / height}% ${(100 * left) / width}%`;
    };
    this.field.hidden = !field;
    this.field.className = later ? "field later" : "field";
    if (field) put(this.field, field);
    this.pixel.className = place.trail ? "pixel" : "pixel near";
    put(this.pixel, [place.y, place.x, place.y + 1, place.x + 1]);
  }

  // The pixel under the pointer.
  at(event) {
    const box = this.canvas.getBoundingClientRect(), { width, height } = layers[this.number];
    const index = (offset, length, count) => Math.min(count - 1, Math.max(0, Math.floor((offset / length) * count)));
    return { y: index(event.clientY - box.top, box.height, height), x: index(event.clientX - box.left, box.width, width) };
  }
}

// Values as squares: white is the smallest, black the largest; cells for which `marked` is true are framed.
function squares(rows, largest, signed, marked = () => false) {
  const columns = rows[0].length, big = Math.max(columns, rows.length);
  const size = big > 8 ? "squares fine" : big > 5 ? "squares tiny" : "squares";
  const grid = element("div", { class: size, style: `--columns:${columns}` });
  rows.forEach((row, i) => row.forEach((number, j) => {
    if (number === null) {
      grid.append(element("b", { class: "outside", title: "outside the border: 0" }));
      return;
    }
    const share = largest > 0 ? number / largest : 0;
    const grey = Math.round(signed ? 127 - 127 * share : 255 - 255 * share);
    const square = element("b", { style: `background:rgb(${grey},${grey},${grey});color:${grey < 135 ? "#fff" : "#000"}`, title: format(number) });
    if (big <= 5) square.textContent = format(number);
    if (marked(i, j)) square.className = "chosen";
    grid.append(square);
  }));
  return grid;
}

// Weights as squares; medium grey is 0 if some are negative.
function weightSquares(kernel, marked) {
  const all = kernel.flat();
  return squares(kernel, Math.max(...all.map(Math.abs)), all.some((number) => number < 0), marked);
}

// A pooling window with one position marked by its number and colour.
function switchWindow(link, place) {
  const [kh, kw] = link.kernel, colours = page.switches[kw];
  const grid = element("div", { class: "squares switched", style: `--columns:${kw}` });
  for (let i = 0; i < kh * kw; i++) {
    grid.append(i === place ? element("b", { style: `background:${colours[i]};color:${dark(colours[i]) ? "#fff" : "#111"}` }, String(i)) : element("b"));
  }
  return grid;
}
