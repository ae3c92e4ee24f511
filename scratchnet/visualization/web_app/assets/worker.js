// The network in a thread of its own, where it does not block the page. `ort` is onnxruntime-web.

let session, settings;

// Return the probabilities of RGB pixels, (height, width, classes).
async function runNetwork(pixels, height, width) {
  const image = new ort.Tensor("uint8", new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length), [1, height, width, 3]);
  const { probabilities } = await session.run({ image }, ["probabilities"]);
  const data = probabilities.data;
  probabilities.dispose?.();
  return data;
}

async function segment({ pixels, height, width }) {
  const report = (share) => postMessage({ progress: share }), classes = settings.classes;
  const [newHeight, newWidth] = settings.resize ?? [height, width];
  const same = newHeight === height && newWidth === width;
  const image = { pixels: same ? pixels : resize(pixels, [height, width, 3], [newHeight, newWidth]), height: newHeight, width: newWidth };
  if (tileSize(newHeight, newWidth, settings)) {
    const mask = await tiledMask(image, settings, classes, runNetwork, report);
    return same ? mask : enlargeMask(mask, newHeight, newWidth, height, width);
  }
  const maps = await runNetwork(image.pixels, newHeight, newWidth);
  return same ? mostProbable(maps, classes) : mostProbableResized(maps, [newHeight, newWidth, classes], [height, width]);
}

// Most probable classes of maps that are resized, one class at a time to save memory.
function mostProbableResized(maps, [height, width, classes], [newHeight, newWidth]) {
  const mask = new Uint8Array(newHeight * newWidth), most = new Float32Array(mask.length).fill(-Infinity);
  for (let c = 0; c < classes; c++) {
    const map = Float32Array.from({ length: height * width }, (_, p) => maps[p * classes + c]);
    resize(map, [height, width, 1], [newHeight, newWidth]).forEach((p, at) => {
      if (p > most[at]) [mask[at], most[at]] = [c, p];
    });
  }
  return mask;
}

// Resize a mask by nearest neighbour.
function enlargeMask(mask, height, width, newHeight, newWidth) {
  const result = new Uint8Array(newHeight * newWidth);
  for (let y = 0, p = 0; y < newHeight; y++) {
    const row = Math.floor(((y + 0.5) * height) / newHeight) * width;
    for (let x = 0; x < newWidth; x++, p++) result[p] = mask[row + Math.floor(((x + 0.5) * width) / newWidth)];
  }
  return result;
}

async function start(data) {
  settings = data.settings;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.wasm.wasmBinary = data.wasm;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(data.model, { executionProviders: ["wasm"] });
}

self.onmessage = async ({ data }) => {
  try {
    if (data.wasm) {
      await start(data);
      postMessage({ ready: true });
      return;
    }
    const started = performance.now(), mask = await segment(data), time = performance.now() - started;
    postMessage({ mask, time, objects: findObjects(mask, data.height, data.width) });
  } catch (error) {
    postMessage({ error: error?.message ?? String(error) });
  }
};
