// The image, the segmentation over it, and the table of the classes.

const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

function drawImage({ pixels, height, width }) {
  const context = sized(byId("image"), height, width), picture = context.createImageData(width, height);
  for (let p = 0; p < height * width; p++) {
    for (let c = 0; c < 3; c++) picture.data[4 * p + c] = pixels[3 * p + c];
    picture.data[4 * p + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  byId("stage").style.setProperty("--ratio", `${width} / ${height}`);
  byId("stage").classList.toggle("small", Math.max(height, width) < 400);
}

function sized(canvas, height, width) {
  canvas.height = height;
  canvas.width = width;
  return canvas.getContext("2d");
}

// The colours of all classes except the first, which stays transparent.
function drawMask(mask, height, width) {
  const context = sized(byId("mask"), height, width), picture = context.createImageData(width, height);
  const colours = page.classes.map(({ colour }) => rgb(colour));
  for (let p = 0; p < mask.length; p++) {
    if (!mask[p]) continue;
    for (let c = 0; c < 3; c++) picture.data[4 * p + c] = colours[mask[p]][c];
    picture.data[4 * p + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

function drawOpacity() {
  byId("mask").style.opacity = byId("opacity").value / 100;
}

function className({ name, colour }) {
  return element("th", { scope: "row" }, element("span", {}, element("i", { style: `background:${colour}` }), name));
}

// One row per class; the first is what surrounds the objects.
function drawTable(rows, smallest) {
  const all = rows.reduce((sum, row) => sum + row.pixels, 0);
  byId("classes").replaceChildren(...rows.map((row, k) => element("tr", {},
    className(page.classes[k]),
    element("td", {}, k ? row.objects.toLocaleString("en") : "–"),
    element("td", {}, k && row.objects ? `${(row.area / row.objects).toFixed(row.area < 10 * row.objects ? 1 : 0)} px` : "–"),
    element("td", {}, percent(row.pixels / all)))));
  const words = rows.map((row, k) => `${page.classes[k].name}: ${k ? `${row.objects} object${row.objects === 1 ? "" : "s"}, ` : ""}${percent(row.pixels / all)} of the area`);
  const limit = smallest > 1 ? ` Objects under ${smallest} pixels are not counted.` : "";
  byId("mask").setAttribute("aria-label", `The segmentation over the image. ${words.join("; ")}.${limit}`);
}

function drawLegend() {
  byId("classes").replaceChildren(...page.classes.map((one) => element("tr", {},
    className(one), ...["", "", ""].map(() => element("td", {}, "–")))));
}

function say(text, kind = "") {
  byId("status").textContent = text;
  byId("status").className = kind;
}

function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
