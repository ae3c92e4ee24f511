// Lesson 10: how many copies of the kernel reach each output, and the sums of the kernel's phases.

const SIDE = 4;
const KERNELS = {
  "all ones": (k) => Array(k * k).fill(1),
  bilinear: (k) => {
    const factor = Math.floor((k + 1) / 2), centre = k % 2 ? factor - 1 : factor - 0.5;
    const tent = Array.from({ length: k }, (_, i) => 1 - Math.abs(i - centre) / factor);
    return tent.flatMap((a) => tent.map((b) => a * b));
  },
};

function start(root) {
  const x = mapOf(Array.from({ length: SIDE }, () => Array(SIDE).fill(1))), tools = element("div", { class: "tools" });
  root.append(tools);
  const geometry = sliders(tools, { kernel: [1, 5, 3], stride: [1, 4, 2], padding: [0, 2, 0], dilation: [1, 2, 1] }, () => draw());
  const kernel = kernelChoice(tools, KERNELS, () => draw());
  const grids = element("div", { class: "grids" }), verdict = element("p", { class: "sum", "aria-live": "polite" }), size = element("p", { class: "size" });
  root.append(grids, verdict, size);
  const phases = grid(grids, "phases", "sum of each phase", "weight");
  const output = grid(grids, "output", `the output of ${SIDE}×${SIDE} ones`, "output", () => draw());

  // The sum of the kernel's elements that reach outputs of each phase, (s, s) row after row.
  function phaseSums(weight) {
    const { kernel: k, stride: s, dilation: d } = geometry, sums = Array(s * s).fill(0);
    weight.forEach((w, at) => { sums[((Math.floor(at / k) * d) % s) * s + (((at % k) * d) % s)] += w; });
    return sums;
  }

  function draw() {
    const weight = kernel(geometry.kernel), y = compute(convolveTransposed, rowsTransposed, x, geometry, weight), { stride: s, padding: p } = geometry;
    Object.assign(output, { rows: y.height, columns: y.width });
    output.select(output.y, output.x);
    const sums = phaseSums(weight), largest = Math.max(...sums, 1e-9), phase = ((output.y + p) % s) * s + ((output.x + p) % s);
    phases.draw(s, s, (row, column) => ({ value: sums[row * s + column], strength: sums[row * s + column] / largest, classes: y.height && row * s + column === phase ? "taken" : "" }));
    output.draw(y.height, y.width, (row, column) => ({
      value: y.data[row * y.width + column], strength: y.data[row * y.width + column] / largest, classes: row === output.y && column === output.x ? "selected" : "",
    }));
    verdict.textContent = y.height ? judge(sums) : "Padding crops everything.";
    size.textContent = y.height ? `Row ${output.y}, column ${output.x} of the output is ${format1(y.data[output.y * y.width + output.x])}; the sum of its phase is ${format1(sums[phase])}. Near the border, fewer copies overlap.` : "";
  }

  function judge(sums) {
    const { kernel: k, stride: s } = geometry, low = Math.min(...sums), high = Math.max(...sums);
    const divides = k % s ? `stride ${s} does not divide the kernel size ${k}` : `stride ${s} divides the kernel size ${k}`;
    if (high - low < 1e-6) return `Flat: all phases have the sum ${format1(low)} (${divides}).`;
    const gaps = low === 0 ? " No element of the kernel reaches the phases with the sum 0: there are holes." : "";
    return `Chessboard: the sums of the phases are between ${format1(low)} and ${format1(high)} (${divides}).${gaps}`;
  }

  output.y = output.x = 4;
  draw();
}
