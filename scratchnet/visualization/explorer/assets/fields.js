// Receptive field and influence of a pixel: sets of rows and columns, propagated from layer to layer.
// The rule is that of scratchnet/visualization/graph/receptive_field.py: index o of the small map and kernel
// position i correspond to index o·s + i·d − p of the large map.

function carry(marked, link, axis, size, toLarge) {
  const [k, s, p, d] = [link.kernel[axis], link.stride[axis], link.padding[axis], link.dilation[axis]];
  const found = new Uint8Array(size);
  const small = toLarge ? marked.length : size, large = toLarge ? size : marked.length;
  for (let o = 0; o < small; o++) {
    if (toLarge && !marked[o]) continue;
    for (let i = 0; i < k; i++) {
      const index = o * s + i * d - p;
      if (index < 0 || index >= large) continue;
      if (toLarge) found[index] = 1;
      else if (marked[index]) found[o] = 1;
    }
  }
  return found;
}

// Propagate the marked pixels of `from` to layer `to` in `sets`, unless all of them are outside its border.
function spread(sets, link, from, to, back) {
  const toLarge = back !== link.transposed;
  const [rows, columns] = [0, 1].map((axis) => carry(sets[from][axis], link, axis, layers[to].size[axis], toLarge));
  if (!rows.includes(1) || !columns.includes(1)) return;
  if (!sets[to]) sets[to] = [rows, columns];
  else [rows, columns].forEach((set, axis) => set.forEach((on, i) => { if (on) sets[to][axis][i] = 1; }));
}

// The rectangle [top, left, bottom, right] in every layer of the receptive field or the influence of pixel (y, x) of layer `number`.
function fields(number, y, x) {
  const only = (size, index) => { const set = new Uint8Array(size); set[index] = 1; return set; };
  const own = [only(layers[number].height, y), only(layers[number].width, x)];
  const receptive = [], influenced = [];
  receptive[number] = influenced[number] = own;
  for (let i = number; i > 0; i--) {
    if (receptive[i]) for (const link of layers[i].links) spread(receptive, link, i, link.from, true);
  }
  for (let i = number + 1; i < layers.length; i++) {
    for (const link of layers[i].links) if (influenced[link.from]) spread(influenced, link, link.from, i, false);
  }
  return layers.map((_, i) => {
    const sets = (i <= number ? receptive : influenced)[i];
    if (!sets) return null;
    const [top, left] = sets.map((set) => set.indexOf(1));
    const [bottom, right] = sets.map((set) => set.lastIndexOf(1) + 1);
    return [top, left, bottom, right];
  });
}
