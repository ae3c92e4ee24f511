// The image: painted on with a pointer or the keyboard, shifted by pixels, reset.

const imageCanvas = byId("image");

function drawImage() {
  const context = sized(imageCanvas, WIDTH, HEIGHT), picture = context.createImageData(WIDTH, HEIGHT);
  for (let y = 0, to = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, to += 4) {
      const from = sourceOf(y, x);
      for (let c = 0; c < 3; c++) picture.data[to + c] = painted[from + c];
      picture.data[to + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
  drawCursor();
}

// Give a canvas a size in pixels and return its context.
function sized(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return canvas.getContext("2d");
}

// The rows and columns that the brush covers at the cursor: [first, last + 1] along each axis.
function brushSpan(index, length) {
  const first = index - ((state.brush - 1) >> 1);
  return [Math.max(0, first), Math.min(length, first + state.brush)];
}

function drawCursor() {
  const [top, bottom] = brushSpan(state.cursor.y, HEIGHT), [left, right] = brushSpan(state.cursor.x, WIDTH);
  byId("cursor").style.inset = `${(100 * top) / HEIGHT}% ${100 - (100 * right) / WIDTH}% ${100 - (100 * bottom) / HEIGHT}% ${(100 * left) / WIDTH}%`;
  const spot = byId("mask-spot");
  spot.style.left = `${(100 * (state.cursor.x + 0.5)) / WIDTH}%`;
  spot.style.top = `${(100 * (state.cursor.y + 0.5)) / HEIGHT}%`;
}

// Apply the brush or the eraser at the cursor.
function paintHere() {
  const [top, bottom] = brushSpan(state.cursor.y, HEIGHT), [left, right] = brushSpan(state.cursor.x, WIDTH);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const at = sourceOf(y, x);
      for (let c = 0; c < 3; c++) painted[at + c] = state.tool === "brush" ? state.colour[c] : original[at + c];
    }
  }
}

// Paint along a line, so that a quick stroke has no gaps.
function paintTo(y, x) {
  const from = { ...state.cursor }, count = Math.max(1, Math.abs(y - from.y), Math.abs(x - from.x));
  for (let i = 1; i <= count; i++) {
    state.cursor = { y: Math.round(from.y + ((y - from.y) * i) / count), x: Math.round(from.x + ((x - from.x) * i) / count) };
    paintHere();
  }
  drawImage();
  update();
}

function moveCursor(y, x) {
  state.cursor = { y: Math.min(Math.max(y, 0), HEIGHT - 1), x: Math.min(Math.max(x, 0), WIDTH - 1) };
  drawCursor();
  drawMaskWords();
}

// The pixel of a canvas under the pointer.
function pixelAt(canvas, event, height, width) {
  const box = canvas.getBoundingClientRect();
  const index = (offset, length, count) => Math.min(count - 1, Math.max(0, Math.floor((offset / length) * count)));
  return { y: index(event.clientY - box.top, box.height, height), x: index(event.clientX - box.left, box.width, width) };
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function listenToImage() {
  let painting = false;
  imageCanvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    painting = true;
    imageCanvas.setPointerCapture?.(event.pointerId);
    const { y, x } = pixelAt(imageCanvas, event, HEIGHT, WIDTH);
    state.cursor = { y, x };
    paintTo(y, x);
  });
  imageCanvas.addEventListener("pointermove", (event) => {
    const { y, x } = pixelAt(imageCanvas, event, HEIGHT, WIDTH);
    if (painting) paintTo(y, x);
    else moveCursor(y, x);
  });
  for (const end of ["pointerup", "pointercancel"]) imageCanvas.addEventListener(end, () => { painting = false; });
  imageCanvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const far = event.shiftKey ? 5 : 1, move = MOVES[event.key];
    if (move) moveCursor(state.cursor.y + far * move[0], state.cursor.x + far * move[1]);
    else if (event.key === " " || event.key === "Enter") paintTo(state.cursor.y, state.cursor.x);
    else if (event.key === "b" || event.key === "e") selectTool(event.key === "b" ? "brush" : "eraser");
    else return;
    event.preventDefault();
  });
}

function selectTool(tool) {
  state.tool = tool;
  for (const name of ["brush", "eraser"]) byId(name).setAttribute("aria-pressed", String(name === tool));
}

function selectColour(colour) {
  state.colour = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  byId("colour").value = colour;
  selectTool("brush");
}

// Colours to paint with: black, white, and the average colour of every class that the network found.
function swatches() {
  const sums = page.classes.map(() => [0, 0, 0, 0]);
  firstLabels.forEach((label, p) => {
    for (let c = 0; c < 3; c++) sums[label][c] += original[3 * p + c];
    sums[label][3] += 1;
  });
  const hex = (sum) => `#${[0, 1, 2].map((c) => Math.round(sum[c] / sum[3]).toString(16).padStart(2, "0")).join("")}`;
  const found = page.classes.map(({ name }, k) => [sums[k], name]).filter(([sum]) => sum[3]).sort((a, b) => b[0][3] - a[0][3]).slice(0, 5);
  return [...found.map(([sum, name]) => [hex(sum), `average colour of ${name}`]), ["#000000", "black"], ["#ffffff", "white"]];
}

function listenToTools() {
  const colours = swatches();
  for (const [colour, name] of colours) {
    const button = element("button", { type: "button", class: "swatch", style: `background:${colour}`, "aria-label": `Paint with the ${name.startsWith("average") ? name : `colour ${name}`}`, title: name });
    button.addEventListener("click", () => selectColour(colour));
    byId("swatches").append(button);
  }
  byId("colour").addEventListener("input", (event) => selectColour(event.target.value));
  for (const name of ["brush", "eraser"]) byId(name).addEventListener("click", () => selectTool(name));
  const size = byId("size");
  Object.assign(size, { max: Math.max(2, Math.floor(Math.min(HEIGHT, WIDTH) / 3)), value: state.brush });
  size.addEventListener("input", () => { state.brush = Number(size.value); drawCursor(); });
  for (const [name, [dy, dx]] of Object.entries(MOVES)) {
    byId(name).addEventListener("click", () => {
      state.offset = { y: state.offset.y + dy, x: state.offset.x + dx };
      drawImage();
      update();
    });
  }
  byId("reset").addEventListener("click", () => {
    painted.set(original);
    state.offset = { y: 0, x: 0 };
    drawImage();
    update();
  });
  selectColour(colours[Math.min(1, colours.length - 1)][0]);
}
