// The state of the page, and how pointer, keys and the address change it.

const state = { anchor: null, look: 0, places: [], fields: [], selected: null };
let large = null;
let strip = [];

// Follow pixel (y, x) of map m of a layer.
function follow(anchor, look = anchor.layer) {
  Object.assign(state, { anchor, look, places: places(anchor), fields: fields(anchor.layer, anchor.y, anchor.x) });
  draw();
}

// Select the current pixel and store it in the address.
function select() {
  state.selected = { anchor: state.anchor, look: state.look };
  const { layer, m, y, x } = state.anchor, look = layers[state.look].name;
  const words = new URLSearchParams({ layer: layers[layer].name, map: layers[layer].channels[m], y, x });
  if (state.look !== layer) words.set("look", look);
  history.replaceState(null, "", `#${words}`);
}

function lookAt(number) {
  state.look = Math.min(Math.max(number, 0), layers.length - 1);
  draw();
  select();
  const box = boxes[state.look];
  if (byId("network").contains(document.activeElement)) box.focus({ preventScroll: true });
}

function draw() {
  markNetwork(state);
  const number = state.look, layer = layers[number], here = state.places[number], [h, w, c] = layer.size;
  byId("name").textContent = layer.name;
  byId("what").textContent = `${[layer.words, ...layer.after].join(" · ")} — ${h}×${w} pixels, ${c} ${layer.kind === "classes" ? "classes" : layer.kind === "input" ? "colours" : c === 1 ? "map" : "maps"}`;
  byId("previous").disabled = number === 0;
  byId("next").disabled = number === layers.length - 1;
  drawPictures(number, here);
  byId("story").replaceChildren(element("p", { class: "where" }, where(number, here)), ...story(number, here), element("p", { class: "sees" }, sees()));
  const last = layers.length - 1, end = state.places[last];
  byId("scores").replaceChildren(element("h3", {}, `Classes at row ${end.y}, column ${end.x} of the image`), ...scoreBars(end.y, end.x));
}

function drawPictures(number, here) {
  const layer = layers[number], pictures = picturesOf(layer);
  const shown = layer.kind === "input" || layer.kind === "classes" ? MASK : here.m;
  large ??= new Picture(number, shown, byId("large"));
  large.show(number, shown);
  const later = number > state.anchor.layer;
  large.mark(state.fields[number], here, later);
  byId("large").setAttribute("aria-label", `${layer.name}, ${pictureName(layer, shown)}`);
  byId("range").textContent = shown === MASK ? "" : `${layer.zero ? `white −${format(scaleOf(layer, shown))}, grey 0` : "white 0"}, black ${format(scaleOf(layer, shown))}`;
  if (strip.number !== number) {
    strip = pictures.length > 1 ? pictures.map((m) => new Picture(number, m)) : [];
    strip.number = number;
    byId("strip").replaceChildren(...strip.map((picture) => element("figure", {}, picture.root, element("figcaption", {}, pictureName(layer, picture.m)))));
  }
  for (const picture of strip) {
    picture.mark(state.fields[number], here, later);
    picture.root.parentElement.classList.toggle("shown", picture.m === (layer.kind === "classes" ? here.m : shown));
  }
}

function where(number, { m, y, x, trail }) {
  const layer = layers[number], spot = `row ${y}, column ${x}`;
  const map = layer.kind === "input" ? "" : layer.kind === "classes" ? "" : `, ${pictureName(layer, m)}`;
  if (number === state.anchor.layer) return `You are pointing at ${spot}${map}.`;
  const at = `${layers[state.anchor.layer].name}, row ${state.anchor.y}, column ${state.anchor.x}`;
  return trail ? `Source of ${at}: ${spot}${map}.` : `Same position as ${at}: ${spot}${map}.`;
}

function sees() {
  const field = state.fields[0], name = layers[state.anchor.layer].name;
  if (state.anchor.layer === 0) return "";
  if (!field) return `The receptive field of your pixel of ${name} contains only zero padding.`;
  const [top, left, bottom, right] = field;
  return `The receptive field of your pixel of ${name} is ${bottom - top}×${right - left} pixels of the image: rows ${lines(top, bottom - top)}, columns ${lines(left, right - left)}.`;
}

// The pixel and map under the pointer, or null between pictures.
function pointed(event) {
  const picture = event.target.closest?.(".map")?.picture;
  if (!picture) return null;
  const { number, m } = picture, layer = layers[number], spot = picture.at(event);
  if (m !== MASK) return { layer: number, m, ...spot };
  return { layer: number, m: layer.kind === "classes" ? likeliest(layer, spot.y, spot.x) : 0, ...spot };
}

function start() {
  const colours = page.switches[2];
  if (colours) byId("places").append(...colours.map((colour) => element("i", { class: "swatch", style: `background:${colour}` })), "switch: upper left, upper right, lower left, lower right");
  else byId("places").remove();
  drawNetwork(byId("network"));
  const root = byId("explorer");
  root.addEventListener("pointermove", (event) => {
    const found = event.pointerType === "mouse" && pointed(event);
    if (found && (state.look !== found.layer || ["layer", "m", "y", "x"].some((key) => found[key] !== state.anchor[key]))) follow(found);
  });
  root.addEventListener("pointerleave", () => follow(state.selected.anchor, state.selected.look));
  root.addEventListener("click", (event) => {
    const found = event.detail > 0 && pointed(event), box = event.target.closest(".box");
    if (found) follow(found);
    else if (box) return lookAt(box.number);
    if (found) select();
  });
  byId("previous").addEventListener("click", () => lookAt(state.look - 1));
  byId("next").addEventListener("click", () => lookAt(state.look + 1));
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", open);
  open();
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const here = state.places[state.look], moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  // Without focus in the drawing, keys that scroll the page keep doing so.
  if (!byId("explorer").contains(document.activeElement) && ["ArrowUp", "ArrowDown", "Enter"].includes(event.key) && !event.shiftKey) return;
  const layer = layers[state.look], inside = (index, count) => Math.min(Math.max(index, 0), count - 1);
  const at = (more) => { follow({ layer: state.look, m: here.m, y: here.y, x: here.x, ...more }); select(); };
  if (event.shiftKey && moves[event.key]) {
    const [dy, dx] = moves[event.key];
    at({ y: inside(here.y + dy, layer.height), x: inside(here.x + dx, layer.width) });
  } else if (event.key === "ArrowLeft") lookAt(state.look - 1);
  else if (event.key === "ArrowRight") lookAt(state.look + 1);
  else if (event.key === "Home") lookAt(0);
  else if (event.key === "End") lookAt(layers.length - 1);
  else if (moves[event.key]) at({ m: inside(here.m + moves[event.key][0], layer.channels.length) });
  else if (event.key === "Enter" && !event.target.closest?.(".bar")) at({});
  else return;
  event.preventDefault();
}

// Show the view in the address, such as #layer=pool2&map=7&y=3&x=5; missing or invalid parts get defaults.
function open() {
  const words = new URLSearchParams(location.hash.slice(1)), last = layers.length - 1;
  const find = (name) => layers.findIndex((layer) => layer.name === name || layer.value === name);
  const number = find(words.get("layer"));
  if (number < 0) {
    const m = Math.max(0, layers[last].channels.indexOf(page.start.class));
    follow({ layer: last, m, y: page.start.y, x: page.start.x });
  } else {
    const layer = layers[number], index = (name, count) => Math.min(Math.max(parseInt(words.get(name), 10) || 0, 0), count - 1);
    const m = Math.max(0, layer.channels.indexOf(parseInt(words.get("map"), 10)));
    const look = find(words.get("look"));
    follow({ layer: number, m, y: index("y", layer.height), x: index("x", layer.width) }, look < 0 ? number : look);
  }
  state.selected = { anchor: state.anchor, look: state.look };
  document.documentElement.dataset.ready = "yes";
}

if ("DecompressionStream" in window) unpack().then(start);
else byId("network").textContent = "This page needs a browser from 2023 or later.";
