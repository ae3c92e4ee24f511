// The segmentation over the image, and how often and how probable every class is.

const maskCanvas = byId("mask");

function drawMask() {
  const context = sized(maskCanvas, WIDTH, HEIGHT), picture = context.createImageData(WIDTH, HEIGHT);
  const colours = page.classes.map(({ colour }) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)));
  for (let y = 0, p = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, p++) {
      const label = labels[p], from = sourceOf(y, x);
      const border = label && ((y > 0 && labels[p - WIDTH] !== label) || (y < HEIGHT - 1 && labels[p + WIDTH] !== label) || (x > 0 && labels[p - 1] !== label) || (x < WIDTH - 1 && labels[p + 1] !== label));
      const share = border ? 1 : label ? 0.45 : 0;
      for (let c = 0; c < 3; c++) picture.data[4 * p + c] = (1 - share) * painted[from + c] + share * colours[label][c];
      picture.data[4 * p + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
}

// One row per class: its share of the image, and its probability at the cursor. The most frequent classes, if many.
function drawMaskWords() {
  const count = probabilities.length / labels.length, pixels = new Array(count).fill(0), at = (state.cursor.y * WIDTH + state.cursor.x) * count;
  for (const label of labels) pixels[label] += 1;
  let order = [...Array(count).keys()];
  if (count > 6) order = order.sort((a, b) => pixels[b] - pixels[a] || probabilities[at + b] - probabilities[at + a]).slice(0, 6);
  const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
  byId("classes").replaceChildren(...order.map((k) => element("tr", {},
    element("th", { scope: "row" }, element("i", { style: `background:${page.classes[k].colour}` }), page.classes[k].name),
    element("td", {}, percent(pixels[k] / labels.length)), element("td", {}, percent(probabilities[at + k])))));
  let changed = 0;
  labels.forEach((label, p) => { changed += label !== firstLabels[p]; });
  byId("changed").textContent = `${changed} of ${labels.length} pixels have another class than at first.`;
}
