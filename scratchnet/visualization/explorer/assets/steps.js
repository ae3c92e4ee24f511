// Explanation of how a layer computed one value: sentences and figures.

function story(number, { m, y, x }) {
  const layer = layers[number], describe = stories[layer.kind];
  return [...describe(layer, layer.links[0], m, y, x), ...onward(number, m, y, x)];
}

// Sentences on whether the poolings after a layer select a value.
function onward(number, m, y, x) {
  const sentences = [];
  for (const pool of layers) {
    const [link] = pool.links;
    if (pool.kind !== "pool" || link.from !== number) continue;
    const map = pool.channels.indexOf(layers[number].channels[m]);
    for (const window of map < 0 ? [] : windowsOver(link, y, x, pool)) {
      const winner = switchAt(pool, map, window.y, window.x);
      sentences.push(winner === window.place
        ? paragraph(`${pool.name} selects this value, the maximum of its window.`)
        : paragraph(`${pool.name} discards this value: the one at ${place(link, winner)} of its window, ${format(value(pool, map, window.y, window.x))}, ${sameValue(number, m, y, x, pool, map, window) ? "is equal and comes first" : "is larger"}.`));
    }
  }
  return sentences;
}

function sameValue(number, m, y, x, pool, map, window) {
  return format(value(layers[number], m, y, x)) === format(value(pool, map, window.y, window.x));
}

const stories = {
  input(layer, _, m, y, x) {
    const i = 3 * (y * layer.width + x), rgb = [...layer.photo.slice(i, i + 3)];
    const swatch = element("i", { class: "colour", style: `background:rgb(${rgb.join(",")})` });
    const normalised = layer.channels.map((_, n) => `${pictureName(layer, n)} ${format(value(layer, n, y, x))}`).join(", ");
    return [paragraph("A pixel of the image: ", swatch, ` red ${rgb[0]}, green ${rgb[1]}, blue ${rgb[2]} of 255. Its normalised values, the network's input, are ${normalised}.`)];
  },

  conv(layer, link, m, y, x) {
    const before = layers[link.from], [kh, kw] = link.kernel, all = terms(layer, m, y, x);
    const from = stepBack(layers.indexOf(layer), m, y, x);
    if (!from) return [paragraph("The receptive field of this pixel contains only zero padding.")];
    const own = all.filter((term) => term.n === from.m), at = (i, j) => own.find((term) => term.i === i && term.j === j);
    const rows = [...Array(kh).keys()], columns = [...Array(kw).keys()], [sh, sw] = link.stride;
    const patch = rows.map((i) => columns.map((j) => at(i, j)?.value ?? null));
    const kernel = rows.map((i) => columns.map((j) => weight(layer, m, from.m, i, j)));
    const sum = own.reduce((total, term) => total + term.value * term.weight, 0);
    const chosen = (i, j) => at(i, j)?.y === from.y && at(i, j)?.x === from.x;
    const top = y * sh - link.padding[0], left = x * sw - link.padding[1];
    const dilation = link.dilation[0] > 1 ? ` with dilation ${link.dilation[0]}` : "";
    const inputs = layer.keeps ? "in the same map" : `in all ${before.size[2]} maps`;
    const sentence = `The weighted sum of a ${kh}×${kw} window${dilation} ${inputs} of ${before.name}${afterwards(layer)}: `;
    return [
      paragraph(sentence, `*${format(value(layer, m, y, x))}`, "."),
      equation(
        part(squares(patch, scaleOf(before, from.m), before.zero > 0, chosen), `${pictureName(before, from.m)} of ${before.name}, rows from ${top}, columns from ${left}`, "image"),
        "×",
        part(weightSquares(kernel, chosen), "its weights", "weight"),
        "=",
        part(element("b", { class: "total" }, sign(sum)), layer.keeps ? "before the bias" : "its contribution to the sum", "output"),
      ),
      paragraph(sum === 0 ? "All terms from the maps on this page are 0." : layer.keeps ? "The ring marks the largest term." : "Among the maps on this page, this one has the largest term (ringed)."),
    ];
  },

  deconv(layer, link, m, y, x) {
    const before = layers[link.from], [kh, kw] = link.kernel, all = terms(layer, m, y, x);
    const from = stepBack(layers.indexOf(layer), m, y, x);
    if (!from) return [paragraph("No input pixel reaches this pixel.")];
    const used = all.find((term) => term.n === from.m && term.y === from.y && term.x === from.x);
    const rows = [...Array(kh).keys()], columns = [...Array(kw).keys()];
    const kernel = rows.map((i) => columns.map((j) => weight(layer, m, from.m, i, j)));
    const overlap = new Set(all.map((term) => `${term.y} ${term.x}`)).size;
    const share = used.value * used.weight, blend = layer.kind === "blend";
    const sentence = `Every pixel of ${before.name} adds its value, times ${blend ? "fixed bilinear weights" : "the kernel"}, to ${kh}×${kw} pixels. ${overlap === 1 ? "One pixel reaches" : `${overlap} pixels reach`} this one${blend || layer.keeps ? "" : `, in each of ${before.size[2]} maps`}; the sum of the contributions${afterwards(layer)}: `;
    return [
      paragraph(sentence, `*${format(value(layer, m, y, x))}`, "."),
      equation(
        part(squares([[used.value]], scaleOf(before, from.m), before.zero > 0, () => true), `row ${from.y}, column ${from.x} of ${mapName(link.from, from.m)}`, "image"),
        "×",
        kh > 16 ? part(element("b", { class: "total" }, format(used.weight)), "its weight", "weight")
          : part(weightSquares(kernel, (i, j) => i === used.i && j === used.j), "the kernel; the ring marks the weight for this pixel", "weight"),
        "=",
        part(element("b", { class: "total" }, sign(share)), blend ? "its contribution to the value" : "its contribution to the sum", "output"),
      ),
      ...(blend ? [] : [paragraph("Among the maps on this page, this is the largest term.")]),
    ];
  },

  blend(...given) {
    return stories.deconv(...given);
  },

  pool(layer, link, m, y, x) {
    const before = layers[link.from], from = stepBack(layers.indexOf(layer), m, y, x), index = switchAt(layer, m, y, x);
    const [kh, kw] = link.kernel, top = y * link.stride[0] - link.padding[0], left = x * link.stride[1] - link.padding[1];
    const inside = (row, column) => row >= 0 && column >= 0 && row < before.height && column < before.width;
    const rows = [...Array(kh).keys()].map((i) => [...Array(kw).keys()].map((j) => (inside(top + i, left + j) ? value(before, from.m, top + i, left + j) : null)));
    const equal = rows.flat().filter((number) => number === value(before, from.m, from.y, from.x)).length > 1;
    const user = layers.find((other) => other.links.some((l) => l.switches && layers[l.from] === layer));
    return [
      paragraph(`The maximum of the ${kh}×${kw} window at rows ${lines(top, kh)}, columns ${lines(left, kw)} of ${mapName(link.from, from.m)}: `, `*${format(value(layer, m, y, x))}`, `. Its position in the window is ${place(link, index)}, stored in the switch as ${index}.${equal ? " Of equal values, the first is taken." : ""}`),
      equation(
        part(squares(rows, scaleOf(before, from.m), before.zero > 0, (i, j) => i * kw + j === index), "the window", "image"),
        "→",
        part(switchWindow(link, index), `switch ${index}`, "switch"),
      ),
      paragraph(user ? `${user.name} will place a value at that position.` : "No layer of this network uses the switches."),
    ];
  },

  unpool(layer, link, m, y, x) {
    const switches = layer.links[1], pool = layers[switches.from], before = layers[link.from];
    const map = sameMap(layer, m, switches), n = sameMap(layer, m, link), over = windowsOver(link, y, x, pool);
    if (!over.length) return [paragraph("No window covers this pixel: it stays 0.")];
    const hit = over.find((window) => switchAt(pool, map, window.y, window.x) === window.place);
    const window = hit ?? over[0], index = switchAt(pool, map, window.y, window.x), kept = value(before, n, window.y, window.x);
    const [sh, sw] = link.stride, [ph, pw] = link.padding, kw = link.kernel[1];
    const row = window.y * sh - ph + Math.floor(index / kw), column = window.x * sw - pw + (index % kw);
    const sentence = `Row ${window.y}, column ${window.x} of ${mapName(link.from, n)} corresponds to this window. ${pool.name} found its maximum at ${place(link, index)}, stored in the switch as ${index}: `;
    return [
      paragraph(sentence, hit ? "*the value goes to this pixel" : `*the value goes to row ${row}, column ${column}`, hit ? ", and its neighbours stay 0." : ", and this pixel stays 0."),
      equation(
        part(squares([[kept]], scaleOf(before, n), before.zero > 0), `${before.name}`, "image"),
        "→",
        part(switchWindow(link, index), `switch ${index} of ${pool.name}`, "switch"),
        "→",
        part(squares(unpooled(layer, link, m, window), scaleOf(layer, m), layer.zero > 0, (i, j) => i === y - window.y * sh + ph && j === x - window.x * sw + pw), `${layer.name}; the selected pixel is ringed`, "output"),
      ),
    ];
  },

  copy(layer, link, m, y, x) {
    const from = stepBack(layers.indexOf(layer), m, y, x);
    if (!from) return [paragraph(`${layer.words}: a zero from the padding.`)];
    return [paragraph(`${capital(layer.words)}: the value of row ${from.y}, column ${from.x} of ${mapName(from.layer, from.m)}, `, `*${format(value(layer, m, y, x))}`, ".")];
  },

  frame(...given) {
    return stories.copy(...given);
  },

  add(layer, _, m, y, x) {
    const parts = layer.links.map((link) => ({ link, n: sameMap(layer, m, link) })).filter((p) => p.n !== null);
    const figures = parts.flatMap(({ link, n }, i) => [...(i ? ["+"] : []), part(element("b", { class: "total" }, format(value(layers[link.from], n, y, x))), mapName(link.from, n), "image")]);
    return [paragraph("The sum of the same pixel of several layers."), equation(...figures, "=", part(element("b", { class: "total" }, format(value(layer, m, y, x))), "this pixel", "output"))];
  },

  concat(layer, _, m, y, x) {
    const from = stepBack(layers.indexOf(layer), m, y, x);
    if (!from) return [nothing()];
    const names = layer.links.map((link) => `the ${layers[link.from].size[2]} maps of ${layers[link.from].name}`).join(" and ");
    return [paragraph(`Concatenation of ${names}. This is ${mapName(from.layer, from.m)}, the same pixel: `, `*${format(value(layer, m, y, x))}`, ".")];
  },

  pixelwise(layer, link, m, y, x) {
    const n = sameMap(layer, m, link);
    const was = n === null ? "" : `, from ${format(value(layers[link.from], n, y, x))}`;
    return [paragraph(`${capital(layer.words)} of the same pixel of ${layers[link.from].name}${was}: `, `*${format(value(layer, m, y, x))}`, ".")];
  },

  classes(layer, link, m, y, x) {
    const name = page.classes[layer.channels[m]].name;
    return [paragraph(`The values of ${layers[link.from].name} become probabilities (${layer.words}), and the pixel gets the most probable class. Its probability of `, `*${name}`, ` is ${format(value(layer, m, y, x))}.`)];
  },
};
