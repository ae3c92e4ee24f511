// Lesson 3: a kernel slides over a map, and the sum of one window is written out.

const MAP = [[1, 1, 1, 5, 5, 5, 1], [1, 1, 1, 5, 5, 5, 1], [1, 1, 1, 5, 5, 5, 1], [1, 1, 1, 1, 1, 1, 1], [1, 3, 3, 3, 1, 1, 1], [1, 3, 3, 3, 1, 2, 2], [1, 1, 1, 1, 1, 2, 2]];
const KERNELS = {
  "right − left": (k) => Array.from({ length: k * k }, (_, at) => (k === 1 ? 1 : at % k === 0 ? -1 : at % k === k - 1 ? 1 : 0)),
  average: (k) => Array(k * k).fill(1 / (k * k)),
};

function start(root) {
  const x = mapOf(MAP), tools = element("div", { class: "tools" });
  root.append(tools);
  const geometry = sliders(tools, { kernel: [1, 5, 3], stride: [1, 3, 1], padding: [0, 2, 1], dilation: [1, 2, 1] }, () => draw());
  const kernel = kernelChoice(tools, KERNELS, () => draw());
  const grids = element("div", { class: "grids" }), sum = element("p", { class: "sum", "aria-live": "polite" }), size = element("p", { class: "size" });
  root.append(grids, sum, size);
  const padded = grid(grids, "input", "the map, padded with 0", "image");
  const weights = grid(grids, "kernel", "the kernel", "weight");
  const output = grid(grids, "output", "the output", "output", () => draw());

  function draw() {
    const weight = kernel(geometry.kernel), y = compute(convolve, rowsConvolved, x, geometry, weight);
    const { kernel: k, stride: s, padding: p, dilation: d } = geometry;
    Object.assign(output, { rows: y.height, columns: y.width });
    output.select(output.y, output.x);
    const at = (row, column) => (MAP[row - p] ?? [])[column - p] ?? 0;
    const tap = (row, column, axis) => { const i = ((axis ? column : row) - (axis ? output.x : output.y) * s) / d; return y.height && Number.isInteger(i) && i >= 0 && i < k ? i : null; };
    const side = x.height + 2 * p;
    padded.draw(side, side, (row, column) => {
      const inside = row >= p && row < side - p && column >= p && column < side - p, covered = tap(row, column, 0) !== null && tap(row, column, 1) !== null;
      return { value: at(row, column), strength: inside ? at(row, column) / 5 : 0, classes: `${inside ? "" : "margin "}${covered ? "taken" : ""}` };
    });
    weights.draw(k, k, (row, column) => ({ value: weight[row * k + column], strength: 0.4 + 0.6 * Math.abs(weight[row * k + column]) }));
    const largest = y.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    output.draw(y.height, y.width, (row, column) => ({
      value: y.data[row * y.width + column], strength: Math.abs(y.data[row * y.width + column]) / largest, classes: row === output.y && column === output.x ? "selected" : "",
    }));
    sum.textContent = y.height ? sentence(weight, at, y) : `No window fits: the kernel reaches over ${reach(geometry)} pixels, and the padded map has ${side}.`;
    size.textContent = formula(side, y.height);
  }

  function sentence(weight, at, y) {
    const { kernel: k, stride: s, dilation: d } = geometry, value = format1(y.data[output.y * y.width + output.x]);
    const place = `Row ${output.y}, column ${output.x} of the output: `;
    const taken = weight.map((w, i) => [at(output.y * s + d * Math.floor(i / k), output.x * s + d * (i % k)), w]).filter(([, w]) => w);
    if (taken.every(([, w]) => w === taken[0][1]) && taken.length > 1) return `${place}(${taken.map(([v]) => format1(v)).join(" + ")}) / ${taken.length} = ${value}`;
    return `${place}${taken.map(([v, w]) => `${format1(v)}·${signed(w)}`).join(" + ")} = ${value}`;
  }

  function formula(side, rows) {
    const { stride: s, padding: p } = geometry, r = reach(geometry), left = (side - r) % s;
    if (!rows) return "";
    const unused = left ? ` The last ${left === 1 ? "row and column of the padded map are" : `${left} rows and columns of the padded map are`} in no window.` : "";
    const skips = geometry.dilation > 1 ? ` With dilation ${geometry.dilation}, the kernel's elements are ${geometry.dilation} pixels apart and reach over d·(k − 1) + 1 = ${r} pixels, which take the place of k.` : "";
    return `(h + 2·p − k) // s + 1 = (${x.height} + 2·${p} − ${r}) // ${s} + 1 = ${plural(rows, "row")} of output.${unused}${skips}`;
  }

  output.y = output.x = 2;
  draw();
}
