// The page's data, the image as it is painted, and the network's values, computed again after every change.

const page = JSON.parse(byId("data").textContent);
const [HEIGHT, WIDTH] = page.size;
const state = {
  modes: {}, // unpooling step → "nearest" or "nails", where it is not the network's own
  turned: {}, // pool → Map of element → switch set by hand
  offset: { y: 0, x: 0 }, // by which the image is shifted
  tool: "brush", colour: [0, 0, 0], brush: Math.max(1, Math.round(Math.max(HEIGHT, WIDTH) / 16)),
  cursor: { y: HEIGHT >> 1, x: WIDTH >> 1 }, // on the image
  selected: null, // { card, m, switches } of the enlarged map
  spot: { y: 0, x: 0 }, // on the enlarged map
};
let original, painted, network, input, values, probabilities, labels, firstLabels, passTime = 0;

async function load() {
  original = await inflate(page.photo);
  painted = original.slice();
  const kernels = await inflateFloats(page.parameters.kernels, page.parameters.precision);
  network = new LiveNetwork(page, kernels, await inflateFloats(page.parameters.vectors));
  const [height, width, channels] = page.input.size;
  input = { height, width, channels, data: new Float32Array(height * width * channels) };
  compute();
  firstLabels = labels.slice();
  const reference = await inflateFloats(page.reference.values);
  return reference.reduce((most, p, i) => Math.max(most, Math.abs(p - probabilities[i * page.reference.every])), 0);
}

// The element of `painted` that is shown at (y, x) of the image; edges are repeated.
function sourceOf(y, x) {
  const row = Math.min(Math.max(y - state.offset.y, 0), HEIGHT - 1), column = Math.min(Math.max(x - state.offset.x, 0), WIDTH - 1);
  return 3 * (row * WIDTH + column);
}

// Write the normalised image, continued by reflection, to the network's input.
function fillInput() {
  const { rows, columns, matrix, bias } = page.input;
  let to = 0;
  for (const y of rows) {
    for (const x of columns) {
      const from = sourceOf(y, x), r = painted[from] / 255, g = painted[from + 1] / 255, b = painted[from + 2] / 255;
      for (let c = 0; c < 3; c++) input.data[to++] = matrix[c][0] * r + matrix[c][1] * g + matrix[c][2] * b + bias[c];
    }
  }
}

function compute() {
  const started = performance.now();
  fillInput();
  values = network.run(input, state);
  const scores = values[values.length - 1], all = probabilitiesOf(scores), count = Math.max(2, scores.channels);
  probabilities = new Float32Array(HEIGHT * WIDTH * count);
  labels = new Uint8Array(HEIGHT * WIDTH);
  for (let y = 0; y < HEIGHT; y++) {
    probabilities.set(all.subarray(y * scores.width * count, (y * scores.width + WIDTH) * count), y * WIDTH * count);
  }
  for (let p = 0; p < labels.length; p++) {
    for (let c = 1; c < count; c++) if (probabilities[p * count + c] > probabilities[p * count + labels[p]]) labels[p] = c;
  }
  passTime = performance.now() - started;
}

let waiting = false;

// Compute and draw everything before the next frame, once for all changes until then.
function update() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    compute();
    drawAll();
  });
}

// Switches of a pool, with those that were set by hand.
function switchesOf(pool) {
  return turnedSwitches(values[pool.number], state.turned[pool.name]);
}

// Set the switch at an element of a pool's map to the next position of its window that is inside the map.
function turnSwitch(pool, index) {
  const step = network.steps[pool.number - 1], map = values[pool.number], before = values[step.inputs[0]];
  const [kh, kw] = step.kernel, oy = Math.floor(index / map.channels / map.width), ox = Math.floor(index / map.channels) % map.width;
  const own = map.switches[index], turned = (state.turned[pool.name] ??= new Map());
  let place = turned.get(index) ?? own, row, column;
  do {
    place = (place + 1) % (kh * kw);
    row = oy * step.stride[0] - step.padding[0] + Math.floor(place / kw);
    column = ox * step.stride[1] - step.padding[1] + (place % kw);
  } while (row < 0 || column < 0 || row >= before.height || column >= before.width);
  if (place === own) turned.delete(index);
  else turned.set(index, place);
  update();
}
