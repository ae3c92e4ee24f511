// The page: an image comes in, the worker segments it, and the results are shown.

const page = JSON.parse(byId("data").textContent);
let result = null; // {image, mask, objects, time} that is shown
let latest = 0; // number of the image that was chosen last

async function show(source) {
  const number = (latest += 1);
  stopIfBusy();
  clearResult();
  document.documentElement.dataset.state = "busy";
  try {
    const image = await source();
    if (number !== latest) return;
    byId("stage").hidden = false;
    drawImage(image);
    busy(true);
    say(current ? "Segmenting…" : "Starting the network…");
    const found = await runWorker(image, (share) => say(`Segmenting in tiles: ${percent(share)}`));
    if (number !== latest) return;
    result = { image, ...found };
    showResult();
    document.documentElement.dataset.state = "done";
  } catch (error) {
    if (number !== latest) return;
    say(explained(error), "error");
    document.documentElement.dataset.state = "error";
  }
  if (number === latest) busy(false);
}

function showResult() {
  const { image, mask, objects, time } = result;
  drawMask(mask, image.height, image.width);
  drawOpacity();
  drawCounts();
  say(`${image.name}: ${image.height}×${image.width} pixels in ${(time / 1000).toFixed(time < 9950 ? 2 : 0)} s. ${image.note}`.trim());
  byId("results").disabled = false;
}

function drawCounts() {
  if (result) drawTable(summarize(result.mask, result.objects, page.classes.length, smallest()), smallest());
}

function clearResult() {
  result = null;
  byId("results").disabled = byId("stage").hidden = true;
  sized(byId("mask"), 1, 1);
  drawLegend();
}

const smallest = () => Math.max(1, Math.floor(Number(byId("smallest").value)) || 1);

function busy(on) {
  byId("stop").hidden = !on;
  byId("stage").setAttribute("aria-busy", String(on));
}

function stopIfBusy() {
  if (!byId("stop").hidden) stopWorker();
}

// A sentence for errors of the browser and of the runtime, whose messages are about their own code.
function explained(error) {
  const text = error?.message ?? String(error);
  if (/memory|allocation|bad_alloc|out of bounds/i.test(text)) return "The browser has too little memory for this image; close other tabs, or choose a smaller image.";
  return /^[A-Z]|: /.test(text) ? text : `The network could not run: ${text}`;
}

function baseName() {
  return result.image.name.replace(/\.[^.]*$/, "") || "image";
}

function firstImage(items) {
  return [...items].find((item) => item.type.startsWith("image/") || /\.(png|jpe?g|webp|gif|bmp|avif|tiff?)$/i.test(item.name));
}

function take(list) {
  const file = firstImage(list);
  if (file) show(() => readImage(file));
  else if (list.length) say(`${list[0].name}: is not an image; choose a PNG, JPEG, WebP, GIF or BMP file.`, "error");
}

function showCamera(on) {
  byId("camera").hidden = !on;
  byId("open-camera").disabled = on;
  if (!on) closeCamera();
}

byId("file").addEventListener("change", ({ target }) => {
  take(target.files);
  target.value = ""; // the same file may be chosen again
});
document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragging", name === "dragenter" || name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
byId("open-camera").addEventListener("click", async () => {
  try {
    await openCamera();
    showCamera(true);
    byId("shoot").focus();
  } catch (error) {
    say(error.message, "error");
  }
});
byId("shoot").addEventListener("click", () => {
  show(async () => {
    const image = takePicture();
    showCamera(false);
    return image;
  });
});
byId("close-camera").addEventListener("click", () => showCamera(false));
byId("stop").addEventListener("click", stopWorker);
byId("opacity").addEventListener("input", drawOpacity);
byId("smallest").addEventListener("input", drawCounts);
byId("csv").addEventListener("click", () => {
  const objects = result.objects.filter(({ area }) => area >= smallest());
  download(`${baseName()}-objects.csv`, objectTable(result.image.name, objects, page.classes.map(({ name }) => name)), "text/csv");
});
byId("png").addEventListener("click", async () => {
  const { mask, image } = result;
  download(`${baseName()}.png`, await maskPng(mask, image.height, image.width, page.classes.map(({ colour }) => rgb(colour))), "image/png");
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=number]")) return;
  if (event.key === "o") byId("file").click();
  if (event.key === "m" && result) {
    byId("mask").hidden = !byId("mask").hidden;
    say(byId("mask").hidden ? "The segmentation is hidden; M shows it again." : "The segmentation is shown.");
  }
});
clearResult();
document.documentElement.dataset.state = "ready";
