// Start of the page, and drawing of everything after a pass.

function drawAll() {
  drawMask();
  drawMaskWords();
  cards.forEach(drawCard);
  drawViewer();
  drawWords();
  drawStatus();
}

// The legend of switches of 2×2 windows.
function drawLegend() {
  const colours = page.switches[2];
  if (!colours) return byId("places").remove();
  byId("places").append(...colours.map((colour) => element("i", { class: "chip", style: `background:${colour}` })), "switch: upper left, upper right, lower left, lower right");
}

function start(difference) {
  byId("agreement").textContent = difference < 1e-6
    ? "At first, its probabilities agree with the library’s to six decimals." : `At first, its probabilities differ from the library’s by at most ${Number(difference.toPrecision(1)).toFixed(6).replace(/0+$/, "")}.`;
  document.documentElement.dataset.difference = String(difference);
  byId("stage").style.setProperty("--wide", String(WIDTH / HEIGHT));
  buildCards(byId("layers"));
  listenToTools();
  listenToImage();
  listenToViewer();
  byId("reset-switches").addEventListener("click", () => { state.turned = {}; update(); });
  drawLegend();
  cards.forEach(drawCard);
  const pool = cards.find((card) => card.pool);
  select(pool ?? cards[0], 0, Boolean(pool));
  drawImage();
  drawAll();
  document.documentElement.dataset.ready = "yes";
}

if ("DecompressionStream" in window) load().then(start);
else byId("story").textContent = "This page needs a browser from 2023 or later.";
