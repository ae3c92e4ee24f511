// Convolution and transposed convolution of one map (height, width, channels), channels last.
// Weights are those of the library: (kh, kw, in/groups, out), and (kh, kw, out/groups, in) for the transposed one.

const BLOCK = 96; // rows of a matrix product, about

// The weight as one packed matrix per group: (kh·kw·in/groups) × (out/groups).
function packConvolution(step) {
  const [inputs, outputs] = step.channels, small = inputs / step.groups, large = outputs / step.groups;
  const depth = step.kernel[0] * step.kernel[1] * small;
  return [...Array(step.groups).keys()].map((g) => packColumns(depth, large, (k, n) => step.weight[k * outputs + g * large + n]));
}

function convolve(x, step, y) {
  if (step.groups > 1 && step.groups === step.channels[0] && step.groups === step.channels[1]) return convolveDepthwise(x, step, y);
  const [inputs, outputs] = step.channels, small = inputs / step.groups, large = outputs / step.groups;
  const depth = step.kernel[0] * step.kernel[1] * small, across = Math.max(1, Math.floor(BLOCK / y.width));
  step.packed ??= packConvolution(step);
  const patches = (step.patches ??= new Float64Array((across * y.width + 2) * depth));
  for (let g = 0; g < step.groups; g++) {
    const bias = step.bias && step.bias.subarray(g * large, (g + 1) * large);
    for (let top = 0; top < y.height; top += across) {
      const rows = Math.min(across, y.height - top);
      for (let r = 0; r < rows; r++) gather(x, step, top + r, y.width, g * small, small, patches, r * y.width * depth);
      multiply(patches, rows * y.width, depth, step.packed[g], large, y.data, top * y.width * outputs + g * large, outputs, bias);
    }
  }
}

// Write the windows of one row of outputs to `patches` from `at` on, one after the other, with zeros outside the map.
function gather(x, step, oy, count, channel, small, patches, at) {
  const [kh, kw] = step.kernel, [sh, sw] = step.stride, [ph, pw] = step.padding, [dh, dw] = step.dilation;
  const { data, width, height, channels } = x, whole = dw === 1 && small === channels;
  for (let ox = 0; ox < count; ox++) {
    const left = ox * sw - pw, inside = whole && left >= 0 && left + kw <= width;
    for (let i = 0; i < kh; i++) {
      const row = oy * sh - ph + i * dh;
      if (inside && row >= 0 && row < height) { // a row of the window is one piece of the map
        const end = at + kw * small;
        let from = (row * width + left) * channels;
        while (at < end) patches[at++] = data[from++];
        continue;
      }
      for (let j = 0; j < kw; j++) {
        const column = ox * sw - pw + j * dw, end = at + small;
        if (row < 0 || row >= height || column < 0 || column >= width) {
          while (at < end) patches[at++] = 0;
        } else {
          let from = (row * width + column) * channels + channel;
          while (at < end) patches[at++] = data[from++];
        }
      }
    }
  }
}

// Convolution in which every map is filtered alone.
function convolveDepthwise(x, step, y) {
  const [kh, kw] = step.kernel, [sh, sw] = step.stride, [ph, pw] = step.padding, [dh, dw] = step.dilation;
  const count = x.channels, sums = (step.sums ??= new Float64Array(count));
  for (let oy = 0; oy < y.height; oy++) {
    for (let ox = 0; ox < y.width; ox++) {
      for (let c = 0; c < count; c++) sums[c] = step.bias ? step.bias[c] : 0;
      for (let i = 0; i < kh; i++) {
        const row = oy * sh - ph + i * dh;
        if (row < 0 || row >= x.height) continue;
        for (let j = 0; j < kw; j++) {
          const column = ox * sw - pw + j * dw;
          if (column < 0 || column >= x.width) continue;
          const from = (row * x.width + column) * count, kernel = (i * kw + j) * count;
          for (let c = 0; c < count; c++) sums[c] += x.data[from + c] * step.weight[kernel + c];
        }
      }
      y.data.set(sums, (oy * y.width + ox) * count);
    }
  }
}

// The weight as one packed matrix per group: (in/groups) × (kh·kw·out/groups).
function packTransposed(step) {
  const [inputs, outputs] = step.channels, small = outputs / step.groups, depth = inputs / step.groups;
  const columns = step.kernel[0] * step.kernel[1] * small;
  return [...Array(step.groups).keys()].map((g) => packColumns(depth, columns, (k, n) => step.weight[n * inputs + g * depth + k]));
}

// A transposed convolution with stride 1 as a convolution: the kernel is rotated by half a turn, padding becomes cropping.
function asConvolution(step) {
  const [inputs, outputs] = step.channels, [kh, kw] = step.kernel, each = outputs / step.groups, depth = inputs / step.groups;
  const weight = new Float32Array(step.weight.length);
  for (let from = 0, place = kh * kw - 1; place >= 0; place--) {
    for (let o = 0; o < each; o++) {
      for (let k = 0; k < inputs; k++) weight[(place * depth + (k % depth)) * outputs + Math.floor(k / depth) * each + o] = step.weight[from++];
    }
  }
  const padding = step.padding.map((p, axis) => step.dilation[axis] * (step.kernel[axis] - 1) - p);
  return { ...step, weight, padding };
}

// Every input pixel adds its value, times the kernel, to a window of the output.
function convolveTransposed(x, step, y) {
  if (step.stride[0] === 1 && step.stride[1] === 1) return convolve(x, (step.turned ??= asConvolution(step)), y);
  const [inputs, outputs] = step.channels, small = outputs / step.groups, depth = inputs / step.groups;
  const columns = step.kernel[0] * step.kernel[1] * small, rows = x.width;
  step.packed ??= packTransposed(step);
  const row = (step.patches ??= new Float64Array((rows + 2) * depth)), spread = (step.sums ??= new Float64Array(rows * columns));
  for (let i = 0; i < y.data.length; i++) y.data[i] = step.bias ? step.bias[i % outputs] : 0;
  for (let g = 0; g < step.groups; g++) {
    for (let iy = 0; iy < x.height; iy++) {
      for (let ix = 0, at = 0; ix < rows; ix++) {
        const from = (iy * rows + ix) * inputs + g * depth;
        for (let k = 0; k < depth; k++) row[at++] = x.data[from + k];
      }
      multiply(row, rows, depth, step.packed[g], columns, spread, 0, columns, null);
      scatter(spread, step, iy, rows, small, g * small, y);
    }
  }
}

function scatter(spread, step, iy, count, small, channel, y) {
  const [kh, kw] = step.kernel, [sh, sw] = step.stride, [ph, pw] = step.padding, [dh, dw] = step.dilation;
  for (let ix = 0, at = 0; ix < count; ix++) {
    for (let i = 0; i < kh; i++) {
      const row = iy * sh - ph + i * dh;
      for (let j = 0; j < kw; j++, at += small) {
        const column = ix * sw - pw + j * dw;
        if (row < 0 || row >= y.height || column < 0 || column >= y.width) continue;
        const to = (row * y.width + column) * y.channels + channel;
        for (let c = 0; c < small; c++) y.data[to + c] += spread[at + c];
      }
    }
  }
}
