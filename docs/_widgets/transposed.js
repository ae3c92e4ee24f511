// Lesson 9: every input adds a copy of the kernel to the output; every output is a sum over the copies that reach it.

const MAP = [[1, 2, 1], [0, 3, 1], [2, 1, 1]];
const KERNELS = {
  "1, 2, 3, …": (k) => Array.from({ length: k * k }, (_, at) => at + 1),
  "all ones": (k) => Array(k * k).fill(1),
};

function start(root) {
  const x = mapOf(MAP), tools = element("div", { class: "tools" });
  let from = "input"; // the grid in which an element was selected last
  root.append(tools);
  const geometry = sliders(tools, { kernel: [1, 4, 3], stride: [1, 3, 2], padding: [0, 2, 0], dilation: [1, 2, 1] }, () => draw());
  const kernel = kernelChoice(tools, KERNELS, () => draw());
  const grids = element("div", { class: "grids" }), sum = element("p", { class: "sum", "aria-live": "polite" }), size = element("p", { class: "size" });
  root.append(grids, sum, size);
  const input = grid(grids, "input", "the input", "image", () => { from = "input"; draw(); });
  const weights = grid(grids, "kernel", "the kernel", "weight");
  const output = grid(grids, "output", "the output", "output", () => { from = "output"; draw(); });

  // The kernel's element that carries input (iy, ix) to (row, column) of the uncropped output, or null.
  function carried(iy, ix, row, column) {
    const { kernel: k, stride: s, dilation: d } = geometry, i = (row - iy * s) / d, j = (column - ix * s) / d;
    return [i, j].every((at) => Number.isInteger(at) && at >= 0 && at < k) ? i * k + j : null;
  }

  function draw() {
    const weight = kernel(geometry.kernel), { kernel: k, padding: p } = geometry;
    const whole = compute(convolveTransposed, rowsTransposed, x, { ...geometry, padding: 0 }, weight), y = compute(convolveTransposed, rowsTransposed, x, geometry, weight);
    Object.assign(output, { rows: whole.height, columns: whole.width });
    output.select(output.y, output.x);
    const chosen = (iy, ix) => (from === "input" ? iy === input.y && ix === input.x : carried(iy, ix, output.y, output.x) !== null);
    input.draw(3, 3, (row, column) => ({ value: MAP[row][column], strength: MAP[row][column] / 3, classes: chosen(row, column) ? (from === "input" ? "selected" : "taken") : "" }));
    const used = new Set(from === "output" ? [0, 1, 2].flatMap((iy) => [0, 1, 2].map((ix) => carried(iy, ix, output.y, output.x))) : []);
    weights.draw(k, k, (row, column) => ({ value: weight[row * k + column], strength: 0.3 + (0.7 * weight[row * k + column]) / weight.at(-1), classes: used.has(row * k + column) ? "taken" : "" }));
    const largest = Math.max(...whole.data);
    output.draw(whole.height, whole.width, (row, column) => {
      const inside = row >= p && column >= p && row - p < y.height && column - p < y.width;
      const value = inside ? y.data[(row - p) * y.width + column - p] : whole.data[row * whole.width + column];
      const marked = from === "input" ? carried(input.y, input.x, row, column) !== null : row === output.y && column === output.x;
      return { value, strength: inside ? value / largest : 0, classes: `${inside ? "" : "margin "}${marked ? (from === "input" ? "taken" : "selected") : ""}` };
    });
    sum.textContent = from === "input" ? scatters() : gathers(weight, whole);
    size.textContent = formula(y.height);
  }

  function scatters() {
    const value = MAP[input.y][input.x], top = input.y * geometry.stride, left = input.x * geometry.stride, r = reach(geometry) - 1;
    return `Row ${input.y}, column ${input.x} of the input is ${value}: it adds ${value} times the kernel to rows ${top} to ${top + r} and columns ${left} to ${left + r}. Where copies overlap, they are summed.`;
  }

  function gathers(weight, whole) {
    const terms = [];
    for (let iy = 0; iy < 3; iy++) {
      for (let ix = 0; ix < 3; ix++) {
        const at = carried(iy, ix, output.y, output.x);
        if (at !== null) terms.push(`${MAP[iy][ix]}·${weight[at]}`);
      }
    }
    const value = format1(whole.data[output.y * whole.width + output.x]), place = `Row ${output.y}, column ${output.x} of the output: `;
    return place + (terms.length ? `${terms.join(" + ")} = ${value}, from ${terms.length === 1 ? "one copy" : `${terms.length} copies`}.` : "no copy reaches it, so it is 0.");
  }

  function formula(rows) {
    const { stride: s, padding: p } = geometry, r = reach(geometry);
    const crop = p ? ` Padding crops ${p === 1 ? "one row and column" : `${p} rows and columns`} on every side (hatched).` : "";
    const skips = geometry.dilation > 1 ? ` With dilation ${geometry.dilation}, a copy reaches over d·(k − 1) + 1 = ${r} pixels, which take the place of k.` : "";
    const count = rows ? `= ${plural(rows, "row")} of output` : "is not positive: nothing is left";
    return `(h − 1)·s + k − 2·p = (3 − 1)·${s} + ${r} − 2·${p} ${count}.${crop}${skips}`;
  }

  Object.assign(input, { rows: 3, columns: 3, y: 1, x: 1 });
  draw();
}
