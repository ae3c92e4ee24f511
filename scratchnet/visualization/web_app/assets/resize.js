// Resizing as Pillow's bilinear filter does it: linear interpolation, and averages over a triangle where it shrinks.

const ONE = 2 ** 22;

// For every new position, the first old position that counts and the weights from there on.
function resizeWeights(before, after) {
  const scale = before / after, reach = Math.max(scale, 1);
  return Array.from({ length: after }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5)), end = Math.min(before, Math.floor(centre + reach + 0.5));
    const weights = [];
    for (let j = first; j < end; j++) weights.push(Math.max(0, 1 - Math.abs(j + 0.5 - centre) / reach));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

// Resize (height, width, channels) values to another height and width. Bytes are summed in integers, with weights that are
// multiples of 2⁻²², and rounded after each of the two passes.
function resize(values, [height, width, channels], [newHeight, newWidth]) {
  const rounded = values instanceof Uint8Array || values instanceof Uint8ClampedArray;
  const Kind = rounded ? Uint8ClampedArray : Float32Array;
  const scaled = (found) => (rounded ? found.map(({ first, weights }) => ({ first, weights: weights.map((weight) => Math.floor(0.5 + weight * ONE)) })) : found);
  const ended = (sum) => (rounded ? Math.floor(sum / ONE + 0.5) : sum);
  const wide = new Kind(height * newWidth * channels), result = new Kind(newHeight * newWidth * channels);
  scaled(resizeWeights(width, newWidth)).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j] * values[(y * width + first + j) * channels + c];
        wide[(y * newWidth + x) * channels + c] = ended(sum);
      }
    }
  });
  const row = newWidth * channels;
  scaled(resizeWeights(height, newHeight)).forEach(({ first, weights }, y) => {
    for (let at = 0; at < row; at++) {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * wide[(first + j) * row + at];
      result[y * row + at] = ended(sum);
    }
  });
  return result;
}
