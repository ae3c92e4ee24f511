// The enlarged map inside its layer's card: a cursor shows values, and switches can be turned.

const viewer = element("div", { class: "viewer" });
const viewerCanvas = element("canvas", { tabindex: "0" });
const viewerSpot = element("i", { class: "spot" });
const viewerFrame = element("div", { class: "frame" }, viewerCanvas, viewerSpot);
const viewerWords = element("p", { class: "value" });
viewer.append(viewerFrame, viewerWords);

// Enlarge map m of a card, or its switches.
function select(card, m, switches) {
  const old = state.selected;
  state.selected = { card, m, switches };
  if (!old || old.card !== card) state.spot = largestSpot(values[card.layer.value], card.layer.channels[m]);
  for (const other of cards) {
    for (const strip of other.strips) strip.maps.forEach((button, k) => button.setAttribute("aria-pressed", String(other === card && k === m && strip.switches === switches)));
  }
  card.root.append(viewer);
  drawViewer();
  drawWords();
}

// The row and column of the largest value of a map.
function largestSpot({ data, width, channels }, channel) {
  let best = channel;
  for (let at = channel; at < data.length; at += channels) if (data[at] > data[best]) best = at;
  const p = Math.floor(best / channels);
  return { y: Math.floor(p / width), x: p % width };
}

function drawViewer() {
  if (!state.selected) return;
  const { card, m, switches } = state.selected, map = values[card.layer.value], { height, width } = map;
  viewerFrame.style.setProperty("--ratio", `${width} / ${height}`);
  viewerCanvas.setAttribute("aria-label", `${switches ? "Switches" : "Values"}, map ${card.layer.channels[m]} of ${card.layer.name}; arrow keys move${switches && usesSwitches(card.step) ? ", space turns the switch" : ""}`);
  viewerCanvas.setAttribute("role", "application");
  viewerFrame.classList.toggle("switched", switches && usesSwitches(card.step));
  if (switches) drawSwitches(viewerCanvas, card, m);
  else drawMap(viewerCanvas, map, card.layer.channels[m], card.scale.largest[m], card.scale.signed);
  viewerFrame.querySelectorAll(".turned").forEach((mark) => mark.remove());
  const turned = switches ? state.turned[card.pool.name] ?? new Map() : new Map();
  for (const index of turned.keys()) {
    if (index % map.channels !== card.layer.channels[m]) continue;
    const p = Math.floor(index / map.channels);
    viewerFrame.append(place(element("i", { class: "turned" }), Math.floor(p / width), p % width, height, width));
  }
  drawSpot();
}

function place(mark, y, x, height, width) {
  mark.style.inset = `${(100 * y) / height}% ${100 - (100 * (x + 1)) / width}% ${100 - (100 * (y + 1)) / height}% ${(100 * x) / width}%`;
  return mark;
}

function drawSpot() {
  const { card, m, switches } = state.selected, { height, width, channels, data } = values[card.layer.value], { y, x } = state.spot;
  place(viewerSpot, y, x, height, width);
  const at = (y * width + x) * channels + card.layer.channels[m], spot = `Row ${y}, column ${x}`;
  if (!switches) {
    viewerWords.textContent = `${spot}: ${format(data[at])}`;
    return;
  }
  const position = switchesOf(card.pool)[at], set = state.turned[card.pool.name]?.has(at);
  viewerWords.textContent = `${spot}: switch ${position}, ${positionName(card.step.kernel, position)}${set ? " (set by hand)" : ""}, maximum ${format(values[card.pool.number].data[at])}`;
}

function positionName([kh, kw], position) {
  const row = Math.floor(position / kw), column = position % kw;
  return kh === 2 && kw === 2 ? `${["upper", "lower"][row]} ${["left", "right"][column]}` : `row ${row}, column ${column} of its window`;
}

function turnHere() {
  const { card, m, switches } = state.selected, map = values[card.layer.value];
  if (switches && usesSwitches(card.step)) turnSwitch(card.pool, (state.spot.y * map.width + state.spot.x) * map.channels + card.layer.channels[m]);
}

function listenToViewer() {
  const look = (event) => {
    const { height, width } = values[state.selected.card.layer.value];
    state.spot = pixelAt(viewerCanvas, event, height, width);
    drawSpot();
  };
  viewerCanvas.addEventListener("pointermove", look);
  viewerCanvas.addEventListener("click", (event) => { look(event); turnHere(); });
  viewerCanvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key], { height, width } = values[state.selected.card.layer.value];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (move) {
      state.spot = { y: Math.min(Math.max(state.spot.y + move[0], 0), height - 1), x: Math.min(Math.max(state.spot.x + move[1], 0), width - 1) };
      drawSpot();
    } else if (event.key === " " || event.key === "Enter") turnHere();
    else return;
    event.preventDefault();
  });
}
