// Max-pooling with switches, and three ways to restore the size that was pooled.

// The largest value of every window, and its position in the window, row·kw + column. The first maximum wins.
function maxPool(x, step, y) {
  const [kh, kw] = step.kernel, [sh, sw] = step.stride, [ph, pw] = step.padding, count = x.channels;
  const switches = (y.switches ??= new Uint16Array(y.data.length));
  for (let oy = 0; oy < y.height; oy++) {
    for (let ox = 0; ox < y.width; ox++) {
      const to = (oy * y.width + ox) * count, top = oy * sh - ph, left = ox * sw - pw;
      let started = false;
      for (let i = 0; i < kh; i++) {
        if (top + i < 0 || top + i >= x.height) continue;
        for (let j = 0; j < kw; j++) {
          if (left + j < 0 || left + j >= x.width) continue;
          const from = ((top + i) * x.width + left + j) * count, position = i * kw + j;
          for (let c = 0; c < count; c++) {
            if (started && x.data[from + c] <= y.data[to + c]) continue;
            y.data[to + c] = x.data[from + c];
            switches[to + c] = position;
          }
          started = true;
        }
      }
    }
  }
}

// Write every value at its switch and 0 elsewhere; values of overlapping windows add up.
function unpoolSwitches(x, pool, switches, y) {
  const kw = pool.kernel[1], [sh, sw] = pool.stride, [ph, pw] = pool.padding, count = x.channels;
  y.data.fill(0);
  for (let oy = 0, from = 0; oy < x.height; oy++) {
    for (let ox = 0; ox < x.width; ox++) {
      for (let c = 0; c < count; c++, from++) {
        const place = switches[from], row = oy * sh - ph + Math.floor(place / kw), column = ox * sw - pw + (place % kw);
        y.data[(row * y.width + column) * count + c] += x.data[from];
      }
    }
  }
}

// Repeat every value over its block of `scale` pixels.
function repeat(x, [sh, sw], y) {
  const count = x.channels;
  for (let row = 0, to = 0; row < y.height; row++) {
    const above = Math.min(x.height - 1, Math.floor(row / sh)) * x.width;
    for (let column = 0; column < y.width; column++, to += count) {
      const from = (above + Math.min(x.width - 1, Math.floor(column / sw))) * count;
      for (let c = 0; c < count; c++) y.data[to + c] = x.data[from + c];
    }
  }
}

// Write every value at the upper left of its block of `scale` pixels and 0 elsewhere.
function bedOfNails(x, [sh, sw], y) {
  const count = x.channels;
  y.data.fill(0);
  for (let row = 0; row < x.height && row * sh < y.height; row++) {
    for (let column = 0; column < x.width && column * sw < y.width; column++) {
      const from = (row * x.width + column) * count, to = (row * sh * y.width + column * sw) * count;
      for (let c = 0; c < count; c++) y.data[to + c] = x.data[from + c];
    }
  }
}
