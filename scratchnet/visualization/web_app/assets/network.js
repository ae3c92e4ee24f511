// The worker that runs the network: started once, and again after it was stopped.

let worker = null, starting = null, stop = null;
const files = {};

async function startWorker() {
  for (const name of ["worker", "wasm", "model"]) files[name] ??= await inflate(page[name]);
  const address = URL.createObjectURL(new Blob([files.worker], { type: "text/javascript" }));
  worker = new Worker(address, { name: "network" });
  await answer({ wasm: files.wasm.buffer, model: files.model, settings: page.settings });
  URL.revokeObjectURL(address);
}

// Send a message to the worker and return its answer; rejects if the worker fails or is stopped.
function answer(message, progress = () => {}) {
  return new Promise((resolve, reject) => {
    stop = () => reject(new Error("Stopped."));
    worker.onmessage = ({ data }) => {
      if (data.progress !== undefined) progress(data.progress);
      else if (data.error) reject(new Error(data.error));
      else resolve(data);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      reject(new Error(event.message || "The browser refused to start the network; open the page in a current version of Firefox, Chrome, Edge or Safari."));
    };
    worker.postMessage(message);
  });
}

// Return {mask, objects, time} of an image.
async function runWorker(image, progress) {
  starting ??= startWorker();
  try {
    await starting;
    return await answer({ pixels: image.pixels, height: image.height, width: image.width }, progress);
  } catch (error) {
    stopWorker();
    throw error;
  }
}

function stopWorker() {
  worker?.terminate();
  worker = starting = null;
  stop?.();
  stop = null;
}
