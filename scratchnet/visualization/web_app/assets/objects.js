// The objects of a mask: connected regions of one class other than the first; pixels that share an edge are connected.

// Return {class, area, row, column, top, left, height, width} of every object, in the order of their first pixels.
function findObjects(mask, height, width) {
  const labels = new Int32Array(mask.length), parent = [0];
  const root = (label) => {
    while (parent[label] !== label) label = parent[label] = parent[parent[label]];
    return label;
  };
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      if (!mask[p]) continue;
      const left = x && mask[p - 1] === mask[p] ? root(labels[p - 1]) : 0;
      const up = y && mask[p - width] === mask[p] ? root(labels[p - width]) : 0;
      if (left && up) parent[Math.max(left, up)] = Math.min(left, up);
      labels[p] = left && up ? Math.min(left, up) : left || up || parent.push(parent.length) - 1;
    }
  }
  const found = new Map();
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      if (!mask[p]) continue;
      const label = root(labels[p]);
      let object = found.get(label);
      if (!object) found.set(label, (object = { class: mask[p], area: 0, row: 0, column: 0, top: y, bottom: y, left: x, right: x }));
      object.area += 1;
      object.row += y;
      object.column += x;
      object.bottom = y;
      object.left = Math.min(object.left, x);
      object.right = Math.max(object.right, x);
    }
  }
  return [...found.values()].map(({ area, row, column, top, bottom, left, right, ...rest }) => ({
    ...rest, area, row: row / area, column: column / area, top, left, height: bottom - top + 1, width: right - left + 1,
  }));
}

// Return {pixels, objects, area} for every class: all its pixels, and objects of at least `smallest` pixels.
function summarize(mask, objects, classes, smallest) {
  const rows = Array.from({ length: classes }, () => ({ pixels: 0, objects: 0, area: 0 }));
  for (const label of mask) rows[label].pixels += 1;
  for (const object of objects) {
    if (object.area < smallest) continue;
    rows[object.class].objects += 1;
    rows[object.class].area += object.area;
  }
  return rows;
}
