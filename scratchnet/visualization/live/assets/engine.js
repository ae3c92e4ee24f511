// The network in the browser: a list of steps, each of which computes one map from earlier ones.
//
// A map is { height, width, channels, data }, channels last; a pooling's map also has its switches. Maps are allocated
// once and overwritten by every run. `options.modes[name]` replaces the unpooling of a step by "nearest" or "nails";
// `options.turned[name]` maps elements of a pooling's map to switches that were set by hand.

class LiveNetwork {
  constructor(description, kernels, vectors) {
    const cut = (array, place) => place && array.subarray(place[0], place[0] + place[1]);
    this.steps = description.steps.map((step) => ({
      ...step, weight: cut(kernels, step.weight), bias: cut(vectors, step.bias), scale: cut(vectors, step.scale), shift: cut(vectors, step.shift),
    }));
    this.values = [];
  }

  // Run all steps on an input map and return all values: the input, then the output of every step.
  run(input, options = {}) {
    this.values[0] = input;
    this.steps.forEach((step, i) => {
      const inputs = step.inputs.map((number) => this.values[number]), y = this.output(i + 1, step.size);
      OPERATIONS[step.op](inputs, step, y, this, options);
    });
    return this.values;
  }

  output(number, [height, width, channels]) {
    return (this.values[number] ??= { height, width, channels, data: new Float32Array(height * width * channels) });
  }
}

const OPERATIONS = {
  conv: ([x], step, y) => convolve(x, step, y),
  deconv: ([x], step, y) => convolveTransposed(x, step, y),
  pool: ([x], step, y) => maxPool(x, step, y),
  unpool: ([x, pooled], step, y, network, { modes = {}, turned = {} }) => {
    const pool = network.steps[step.inputs[1] - 1], mode = modes[step.name] ?? "switches";
    if (mode === "switches") unpoolSwitches(x, pool, turnedSwitches(pooled, turned[pool.name]), y);
    else (mode === "nearest" ? repeat : bedOfNails)(x, pool.stride, y);
  },
  nearest: ([x], step, y, _, { modes = {} }) => (modes[step.name] === "nails" ? bedOfNails : repeat)(x, step.factor, y),
  nails: ([x], step, y, _, { modes = {} }) => (modes[step.name] === "nearest" ? repeat : bedOfNails)(x, step.factor, y),
  bilinear: ([x], _, y) => interpolate(x, bilinearWeights, y),
  tent: ([x], step, y) => interpolate(x, tentWeights(step.factor), y),
  affine: ([x], step, y) => affine(x, step, y),
  group_norm: ([x], step, y) => groupNorm(x, step, y),
  lrn: ([x], step, y) => localResponseNorm(x, step, y),
  leaky_relu: ([x], step, y) => leakyRelu(x, step.slope, y),
  multiply: ([x], step, y) => scaleBy(x, step.factor, y),
  add: (maps, _, y) => add(maps, y),
  concat: (maps, _, y) => concatenate(maps, y),
  shift: ([x], step, y) => shift(x, step.offset, y),
};

// The switches of a pooling with those that were set by hand in place of its own.
function turnedSwitches(pooled, turned) {
  if (!turned || !turned.size) return pooled.switches;
  const switches = pooled.switches.slice();
  for (const [index, position] of turned) switches[index] = position;
  return switches;
}
