// Matrix products, the inner loop of every convolution.
//
// The right factor is packed once into panels of four columns, so that the inner loop reads it in order. Sums are kept
// in local variables, twelve at a time, in double precision.

// Pack a matrix (depth × columns), given by a function of row and column, into panels of four columns.
function packColumns(depth, columns, at) {
  const panels = new Float64Array(4 * depth * Math.ceil(columns / 4));
  for (let n = 0; n < columns; n++) {
    const first = 4 * depth * (n >> 2) + (n & 3);
    for (let k = 0; k < depth; k++) panels[first + 4 * k] = at(k, n);
  }
  return panels;
}

const CHUNK = 384; // rows of the right factor at a time: a panel of them fits into the first cache

// Write the product of `left` (rows × depth, Float64Array with space for two more rows) and a packed matrix to `out`.
// Row m starts at out[first + m·step]; `bias` has one value per column, or is null.
function multiply(left, rows, depth, panels, columns, out, first, step, bias) {
  for (let m = 0, at = first; m < rows; m++, at += step) for (let n = 0; n < columns; n++) out[at + n] = bias ? bias[n] : 0;
  for (let begin = 0; begin < depth; begin += CHUNK) {
    const count = Math.min(CHUNK, depth - begin);
    for (let n = 0; n < columns; n += 4) addPanel(left, rows, depth, begin, panels, n * depth + 4 * begin, 4 * count, out, first + n, step, Math.min(4, columns - n));
  }
}

// Add the product with a part of one panel, `length` values from `panel` on, to `width` columns of `out`.
function addPanel(left, rows, depth, begin, panels, panel, length, out, first, step, width) {
  const end = panel + length;
  for (let m = 0; m < rows; m += 3) {
    let x = m * depth + begin, y = x + depth, z = y + depth;
    let x0 = 0, x1 = 0, x2 = 0, x3 = 0, y0 = 0, y1 = 0, y2 = 0, y3 = 0, z0 = 0, z1 = 0, z2 = 0, z3 = 0;
    for (let p = panel; p < end; p += 4) {
      const u = left[x++], v = left[y++], w = left[z++];
      const w0 = panels[p], w1 = panels[p + 1], w2 = panels[p + 2], w3 = panels[p + 3];
      x0 += u * w0; x1 += u * w1; x2 += u * w2; x3 += u * w3;
      y0 += v * w0; y1 += v * w1; y2 += v * w2; y3 += v * w3;
      z0 += w * w0; z1 += w * w1; z2 += w * w2; z3 += w * w3;
    }
    const at = first + m * step;
    addTo(out, at, width, x0, x1, x2, x3);
    if (m + 1 < rows) addTo(out, at + step, width, y0, y1, y2, y3);
    if (m + 2 < rows) addTo(out, at + 2 * step, width, z0, z1, z2, z3);
  }
}

function addTo(out, at, width, a, b, c, d) {
  out[at] += a;
  if (width > 1) out[at + 1] += b;
  if (width > 2) out[at + 2] += c;
  if (width > 3) out[at + 3] += d;
}
