// Layers without a kernel: normalisation, activation, interpolation, and layers that join or cut maps.

function affine(x, { scale, shift }, y) {
  const count = x.channels;
  for (let i = 0, c = 0; i < x.data.length; i++) {
    y.data[i] = x.data[i] * scale[c] + shift[c];
    if (++c === count) c = 0;
  }
}

// Normalise over the pixels and channels of each group. With as many groups as channels: batch norm of one image.
function groupNorm(x, { groups, eps, scale, shift }, y) {
  const count = x.channels, each = count / groups, pixels = x.width * x.height;
  for (let g = 0; g < groups; g++) {
    let sum = 0, squares = 0;
    const over = (visit) => {
      for (let p = 0; p < pixels; p++) for (let c = g * each; c < (g + 1) * each; c++) visit(p * count + c, c);
    };
    over((i) => { sum += x.data[i]; });
    const mean = sum / (pixels * each);
    over((i) => { squares += (x.data[i] - mean) ** 2; });
    const inverse = 1 / Math.sqrt(squares / (pixels * each) + eps);
    over((i, c) => { y.data[i] = (x.data[i] - mean) * inverse * scale[c] + shift[c]; });
  }
}

// Divide every value by a power of the energy of nearby channels.
function localResponseNorm(x, { window, alpha, beta }, y) {
  const count = x.channels, half = (window - 1) / 2;
  for (let start = 0; start < x.data.length; start += count) {
    for (let c = 0; c < count; c++) {
      let energy = 0;
      for (let k = Math.max(0, c - half); k <= Math.min(count - 1, c + half); k++) energy += x.data[start + k] ** 2;
      y.data[start + c] = x.data[start + c] * (1 + (alpha / window) * energy) ** -beta;
    }
  }
}

function leakyRelu(x, slope, y) {
  for (let i = 0; i < x.data.length; i++) y.data[i] = x.data[i] > 0 ? x.data[i] : slope * x.data[i];
}

function scaleBy(x, factor, y) {
  for (let i = 0; i < x.data.length; i++) y.data[i] = factor * x.data[i];
}

function add(maps, y) {
  y.data.set(maps[0].data);
  for (const map of maps.slice(1)) for (let i = 0; i < map.data.length; i++) y.data[i] += map.data[i];
}

function concatenate(maps, y) {
  let channel = 0;
  for (const { data, channels } of maps) {
    for (let p = 0, from = 0; from < data.length; p++, from += channels) y.data.set(data.subarray(from, from + channels), p * y.channels + channel);
    channel += channels;
  }
}

// Move a map up and left by (top, left); what lies outside it is 0. Crops have positive shifts, padding negative ones.
function shift(x, [top, left], y) {
  const count = x.channels;
  y.data.fill(0);
  for (let row = 0; row < y.height; row++) {
    const from = row + top;
    if (from < 0 || from >= x.height) continue;
    const first = Math.max(0, -left), last = Math.min(y.width, x.width - left);
    const start = (from * x.width + first + left) * count;
    if (last > first) y.data.set(x.data.subarray(start, start + (last - first) * count), (row * y.width + first) * count);
  }
}

// Interpolate one axis after the other; `weigh(size, new)` returns, for every new index, two indices and their weights.
function interpolate(x, weigh, y) {
  const down = weigh(x.height, y.height, 0), across = weigh(x.width, y.width, 1), count = x.channels;
  for (let row = 0, to = 0; row < y.height; row++) {
    const [upper, lower, above, below] = down[row];
    for (let column = 0; column < y.width; column++, to += count) {
      const [left, right, near, far] = across[column];
      const a = (upper * x.width + left) * count, b = (upper * x.width + right) * count;
      const c = (lower * x.width + left) * count, d = (lower * x.width + right) * count;
      for (let k = 0; k < count; k++) {
        y.data[to + k] = above * (near * x.data[a + k] + far * x.data[b + k]) + below * (near * x.data[c + k] + far * x.data[d + k]);
      }
    }
  }
}

// Pixels are squares with their values at the centres; the border is repeated outwards.
function bilinearWeights(size, wanted) {
  return [...Array(wanted).keys()].map((o) => {
    const position = Math.min(Math.max(((o + 0.5) * size) / wanted - 0.5, 0), size - 1), first = Math.min(Math.floor(position), size - 1);
    return [first, Math.min(first + 1, size - 1), 1 - (position - first), position - first];
  });
}

// The kernel of FCN's fixed deconvolution: two tents cover every pixel, and outside the map is 0.
function tentWeights(factor) {
  return (size, wanted) => [...Array(wanted).keys()].map((o) => {
    const j = Math.floor(o / factor), rising = ((o % factor) + 0.5) / factor, inside = (index) => index >= 0 && index < size;
    return [inside(j) ? j : 0, inside(j - 1) ? j - 1 : 0, inside(j) ? rising : 0, inside(j - 1) ? 1 - rising : 0];
  });
}

// Probabilities (pixels, classes) of scores: softmax, or sigmoid of a single score map.
function probabilitiesOf({ data, channels, width, height }) {
  const pixels = width * height, classes = Math.max(2, channels), result = new Float32Array(pixels * classes);
  for (let p = 0; p < pixels; p++) {
    if (channels === 1) {
      result[2 * p + 1] = 1 / (1 + Math.exp(-data[p]));
      result[2 * p] = 1 - result[2 * p + 1];
      continue;
    }
    let largest = -Infinity, sum = 0;
    for (let c = 0; c < channels; c++) largest = Math.max(largest, data[p * channels + c]);
    for (let c = 0; c < channels; c++) sum += result[p * channels + c] = Math.exp(data[p * channels + c] - largest);
    for (let c = 0; c < channels; c++) result[p * channels + c] /= sum;
  }
  return result;
}
