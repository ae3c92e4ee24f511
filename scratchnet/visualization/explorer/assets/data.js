// Data written by Python: the layers and their connections, and a deflated string with all arrays.

const page = JSON.parse(document.getElementById("data").textContent);
const layers = page.layers;

async function unpack() {
  const packed = Uint8Array.from(atob(page.arrays), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const all = await new Response(stream).arrayBuffer();
  const bytes = ([begin, length]) => {
    const array = new Uint8Array(all.slice(begin, begin + length));
    for (let i = 1; i < length; i++) array[i] += array[i - 1]; // wraps modulo 256
    return array;
  };
  for (const layer of layers) {
    [layer.height, layer.width] = layer.size;
    for (const name of ["maps", "switches", "photo", "mask"]) if (layer[name]) layer[name] = bytes(layer[name]);
    if (layer.weights) layer.weights = new Float32Array(all.slice(layer.weights[0], layer.weights[0] + layer.weights[1]));
  }
}

// Value of map m (its index on this page) at row y and column x.
function value(layer, m, y, x) {
  return (layer.maps[(m * layer.height + y) * layer.width + x] - layer.zero) * layer.scale[m];
}

// The weight from map n of the previous layer to map m, at row i and column j of the kernel.
function weight(layer, m, n, i, j) {
  const [kh, kw] = layer.links[0].kernel;
  if (layer.kind === "blend") return layer.weights[i * kw + j];
  const inputs = layers[layer.links[0].from].channels.length;
  return layer.weights[((m * inputs + n) * kh + i) * kw + j];
}

// The position in its window, row·kw + column, of the maximum that became map m's pixel (y, x) of a pooling.
function switchAt(pool, m, y, x) {
  return pool.switches[(m * pool.height + y) * pool.width + x];
}
