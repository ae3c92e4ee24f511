// Tiles of large images, as scratchnet.inference.Segmenter cuts and blends them.

// Side and overlap of the tiles of an image, or null if the network takes it whole.
function tileSize(height, width, { stride, fixed, untiled, tile, overlap }) {
  if (fixed) {
    if (height === fixed[0] && width === fixed[1]) return null;
    return { side: fixed[0], overlap: Math.min(Math.ceil((fixed[0] >> 1) / stride) * stride, fixed[0] - stride) };
  }
  return Math.max(height, width) <= untiled ? null : { side: tile, overlap: Math.min(Math.ceil(overlap / stride) * stride, tile - stride) };
}

function tileStarts(length, side, overlap) {
  const last = Math.max(length - side, 0), starts = [];
  for (let start = 0; start < last; start += side - overlap) starts.push(start);
  return [...starts, last];
}

// The pixel at every position from `first` to `end` of a side of `length` pixels that is continued by reflection.
function reflected(length, first, end) {
  return Array.from({ length: end - first }, (_, i) => {
    const there = (((first + i) % (2 * length)) + 2 * length) % (2 * length);
    return Math.min(there, 2 * length - 1 - there);
  });
}

// The pixels of an image at rows and columns, RGB.
function gather(pixels, width, rows, columns) {
  const found = new Uint8Array(rows.length * columns.length * 3);
  let to = 0;
  for (const y of rows) {
    for (const x of columns) {
      const from = 3 * (y * width + x);
      found[to++] = pixels[from];
      found[to++] = pixels[from + 1];
      found[to++] = pixels[from + 2];
    }
  }
  return found;
}

// 1, 2, 3, …, 3, 2, 1: the weight of a pixel decreases towards the border of its tile.
const ramp = (position, length) => Math.min(position + 1, length - position);

// Most probable classes of an image. `run(pixels, height, width)` returns the probabilities of one tile, `progress` is
// called with the share that is done. The memory is that of one row of tiles.
async function tiledMask({ pixels, height, width }, settings, classes, run, progress) {
  const { stride, fixed, surround } = settings, { side, overlap } = tileSize(height, width, settings);
  const whole = [height, width].map((length) => Math.ceil(length / stride) * stride);
  const [tops, lefts] = whole.map((length) => tileStarts(length, side, overlap));
  const [tall, wide] = whole.map((length) => Math.min(side, length));
  const rowsOf = whole.map((length, axis) => reflected([height, width][axis], 0, length));
  const line = whole[1] * classes, sums = new Float64Array(tall * line), weights = new Float64Array(tall * whole[1]);
  const mask = new Uint8Array(height * width);
  for (const [i, top] of tops.entries()) {
    for (const [j, left] of lefts.entries()) {
      const [rows, columns] = [top, left].map((start, axis) => tileIndices(rowsOf[axis], start, [tall, wide][axis], fixed?.[axis], surround));
      const maps = await run(gather(pixels, width, rows, columns), rows.length, columns.length);
      for (let y = 0; y < tall; y++) {
        for (let x = 0; x < wide; x++) {
          const weight = ramp(y, tall) * ramp(x, wide), to = y * whole[1] + left + x;
          const from = ((y + surround) * columns.length + x + surround) * classes;
          weights[to] += weight;
          for (let c = 0; c < classes; c++) sums[to * classes + c] += weight * maps[from + c];
        }
      }
      progress((i * lefts.length + j + 1) / (tops.length * lefts.length));
    }
    const finished = (tops[i + 1] ?? whole[0]) - top, shown = Math.min(finished, height - top);
    writeMask(mask, sums, weights, { top, rows: shown, width, stored: whole[1], classes });
    sums.copyWithin(0, finished * line).fill(0, (tall - finished) * line);
    weights.copyWithin(0, finished * whole[1]).fill(0, (tall - finished) * whole[1]);
  }
  return mask;
}

// The pixels of one side of a tile: continued to the network's fixed size, or with its true surroundings.
function tileIndices(indices, start, length, fixed, surround) {
  if (fixed) return reflected(length, 0, fixed).map((at) => indices[start + at]);
  return reflected(indices.length, start - surround, start + length + surround).map((at) => indices[at]);
}

// Write the most probable classes of finished rows; sums become probabilities as in float32, so that ties are the same.
function writeMask(mask, sums, weights, { top, rows, width, stored, classes }) {
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < width; x++) {
      const from = y * stored + x;
      let best = 0, most = -Infinity;
      for (let c = 0; c < classes; c++) {
        const p = Math.fround(sums[from * classes + c] / weights[from]);
        if (p > most) [best, most] = [c, p];
      }
      mask[(top + y) * width + x] = best;
    }
  }
}

// Most probable class of every pixel of maps (pixels, classes); the first of equal ones.
function mostProbable(maps, classes) {
  const mask = new Uint8Array(maps.length / classes);
  for (let p = 0; p < mask.length; p++) {
    for (let c = 1; c < classes; c++) if (maps[p * classes + c] > maps[p * classes + mask[p]]) mask[p] = c;
  }
  return mask;
}
