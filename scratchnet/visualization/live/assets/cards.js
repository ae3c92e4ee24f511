// One card per layer: its strongest maps, for a pool also its switches, for an unpooling also its rule.

const cards = [];
const RULES = { switches: "switches", nearest: "nearest neighbour", nails: "bed of nails" };

function buildCards(root) {
  const cells = new Map();
  for (const layer of page.layers) {
    if (layer.kind === "input") continue;
    const key = `${layer.part}${layer.level}`;
    if (!cells.has(key)) {
      cells.set(key, element("div", { class: `cell ${layer.part}`, style: `--row:${layer.level + 1}` }));
      root.append(cells.get(key));
    }
    const card = buildCard(layer);
    cards.push(card);
    cells.get(key).append(card.root);
  }
  const rules = cards.filter((card) => card.rule);
  byId("rules").hidden = !rules.length;
  for (const [rule, words] of Object.entries(RULES)) {
    if (rules.some((card) => card.rules.includes(rule))) byId("all-rules").append(element("option", { value: rule }, words));
  }
  byId("all-rules").addEventListener("change", (event) => {
    const rule = event.target.value;
    for (const card of rules) if (card.rules.includes(rule)) setRule(card, rule);
  });
}

function buildCard(layer) {
  const [h, w, c] = layer.size, step = network.steps[layer.first - 1];
  const root = element("article", { class: "card", "data-layer": layer.name },
    element("h3", {}, layer.name), element("p", { class: "what" }, [layer.words, ...layer.after].join(" · ")), element("p", { class: "size" }, `${h}×${w}×${c}`));
  const card = { layer, root, step, pool: step.op === "pool" ? { name: step.name, number: layer.first } : null, strips: [], scale: null };
  if (["unpool", "nearest", "nails"].includes(step.op)) addRule(card);
  card.strips.push(buildStrip(card, false, card.pool ? "maxima" : ""));
  if (card.pool) card.strips.push(buildStrip(card, true, "switches"));
  root.append(...card.strips.map((strip) => strip.root));
  return card;
}

// A selector of the unpooling's rule.
function addRule(card) {
  card.own = card.step.op === "unpool" ? "switches" : card.step.op;
  card.rules = card.step.op === "unpool" ? ["switches", "nearest", "nails"] : ["nearest", "nails"];
  card.rule = element("select", { "aria-label": `Unpooling of ${card.layer.name}` }, ...card.rules.map((rule) => element("option", { value: rule }, RULES[rule])));
  card.rule.value = card.own;
  card.rule.addEventListener("change", () => { setRule(card, card.rule.value); byId("all-rules").value = ""; select(card, 0, false); });
  card.root.append(card.rule);
}

function setRule(card, rule) {
  card.rule.value = rule;
  if (rule === card.own) delete state.modes[card.step.name];
  else state.modes[card.step.name] = rule;
  card.root.classList.toggle("other", rule !== card.own);
  update();
}

function buildStrip(card, switches, title) {
  const strip = { switches, root: element("div", { class: "strip", role: "group", "aria-label": `${title || "maps"} of ${card.layer.name}` }), maps: [] };
  card.layer.channels.forEach((channel, m) => {
    const button = element("button", { type: "button", class: "map", tabindex: m ? "-1" : "0", "aria-pressed": "false", title: `${title ? `${title}, ` : ""}map ${channel}`, "aria-label": `${title ? `${title}, ` : ""}map ${channel} of ${card.layer.name}` }, element("canvas"));
    button.addEventListener("click", () => select(card, m, switches));
    button.addEventListener("keydown", (event) => {
      const next = { ArrowLeft: m - 1, ArrowRight: m + 1, Home: 0, End: strip.maps.length - 1 }[event.key];
      if (next === undefined || !strip.maps[next]) return;
      button.tabIndex = -1;
      strip.maps[next].tabIndex = 0;
      strip.maps[next].focus();
      event.preventDefault();
    });
    strip.maps.push(button);
  });
  strip.title = element("span", { class: "title" }, title);
  if (title) strip.root.append(strip.title);
  strip.root.append(...strip.maps);
  return strip;
}

// The colours of a layer's maps: white is 0, black the largest value so far; with negative values 0 is grey.
function scaleOf(card) {
  const map = values[card.layer.value], { channels } = card.layer;
  card.scale ??= { signed: false, largest: channels.map(() => 0) };
  for (let at = 0; at < map.data.length; at += map.channels) {
    channels.forEach((channel, m) => {
      const value = map.data[at + channel];
      if (value < 0) card.scale.signed = true;
      card.scale.largest[m] = Math.max(card.scale.largest[m], Math.abs(value));
    });
  }
  // Maps of one pixel share a scale, by which they can be compared.
  if (map.data.length === map.channels) card.scale.largest.fill(map.data.reduce((most, value) => Math.max(most, Math.abs(value)), card.scale.largest[0]));
  return card.scale;
}

function drawCard(card) {
  const scale = scaleOf(card);
  for (const strip of card.strips) {
    if (strip.switches) strip.title.textContent = switchTitle(card);
    strip.maps.forEach((button, m) => {
      if (strip.switches) drawSwitches(button.firstChild, card, m);
      else drawMap(button.firstChild, values[card.layer.value], card.layer.channels[m], scale.largest[m], scale.signed);
    });
  }
}

// The heading of the switches: how many of all maps differ from those at first.
function switchTitle(card) {
  const switches = switchesOf(card.pool), first = (card.firstSwitches ??= switches.slice());
  let count = 0;
  for (let i = 0; i < first.length; i++) count += switches[i] !== first[i];
  return `switches${count ? `: ${count} of ${first.length} differ from those at first` : ""}`;
}

function drawMap(canvas, map, channel, largest, signed) {
  const context = sized(canvas, map.width, map.height), picture = context.createImageData(map.width, map.height);
  const factor = largest > 0 ? (signed ? 127 : 255) / largest : 0, zero = signed ? 127 : 255;
  for (let p = 0; p < map.width * map.height; p++) {
    const grey = zero - factor * map.data[p * map.channels + channel];
    picture.data[4 * p] = picture.data[4 * p + 1] = picture.data[4 * p + 2] = grey;
    picture.data[4 * p + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

// Switches in the colours of their positions.
function drawSwitches(canvas, card, m) {
  const map = values[card.pool.number], switches = switchesOf(card.pool), channel = card.layer.channels[m];
  const colours = page.switches[card.step.kernel[1]].map((colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)));
  const context = sized(canvas, map.width, map.height), picture = context.createImageData(map.width, map.height);
  for (let p = 0; p < map.width * map.height; p++) {
    picture.data.set(colours[switches[p * map.channels + channel]] ?? [128, 128, 128], 4 * p);
    picture.data[4 * p + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}
