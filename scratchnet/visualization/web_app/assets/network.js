// The worker that runs the network: started once, and again after it was stopped.

let current = null; // {worker, ready, stop, stopped}: the worker in use, or none
const files = {};

// Begin to start a worker; `ready` resolves when its network can run, and rejects if it fails or is stopped before.
function startWorker() {
  const own = { worker: null, stop: null, stopped: false };
  own.ready = (async () => {
    for (const name of ["worker", "wasm", "model"]) files[name] ??= await inflate(page[name]);
    if (own.stopped) throw new Error("Stopped."); // another image was chosen meanwhile
    const address = URL.createObjectURL(new Blob([files.worker], { type: "text/javascript" }));
    own.worker = new Worker(address, { name: "network" });
    await answer(own, { wasm: files.wasm.buffer, model: files.model, settings: page.settings });
    URL.revokeObjectURL(address);
  })();
  return own;
}

// Send a message to a worker and return its answer; rejects if the worker fails or is stopped.
function answer(own, message, progress = () => {}) {
  return new Promise((resolve, reject) => {
    own.stop = () => reject(new Error("Stopped."));
    own.worker.onmessage = ({ data }) => {
      if (data.progress !== undefined) progress(data.progress);
      else if (data.error) reject(new Error(data.error));
      else resolve(data);
    };
    own.worker.onerror = (event) => {
      event.preventDefault?.();
      reject(new Error(event.message || "The browser refused to start the network; open the page in a current version of Firefox, Chrome, Edge or Safari."));
    };
    own.worker.postMessage(message);
  });
}

// Return {mask, objects, time} of an image.
async function runWorker(image, progress) {
  const own = (current ??= startWorker());
  try {
    await own.ready;
    return await answer(own, { pixels: image.pixels, height: image.height, width: image.width }, progress);
  } catch (error) {
    end(own);
    throw error;
  }
}

function end(own) {
  own.stopped = true;
  own.worker?.terminate();
  own.stop?.();
  if (current === own) current = null;
}

function stopWorker() {
  if (current) end(current);
}
