// Sentences: how the selected layer computes its maps.

const STORIES = {
  conv: (layer, step) => `Every value is a weighted sum of a ${step.kernel.join("×")} window in ${step.groups === 1 ? `all ${step.channels[0]} maps` : `${step.channels[0] / step.groups} of ${step.channels[0]} maps`} before it${afterwards(layer)}.`,
  deconv: (layer, step) => `Every value before it adds a multiple of a ${step.kernel.join("×")} kernel to a window of every map; overlapping windows are summed${afterwards(layer)}.`,
  pool: (_, step) => `Pooling keeps the largest value of every ${step.kernel.join("×")} window. The switch is its position in the window${usesSwitches(step) ? "; click a switch to turn it to the next position" : ", which no unpooling uses here"}.`,
  unpool: (_, step) => RULE_STORIES[state.modes[step.name] ?? "switches"](network.steps[step.inputs[1] - 1].name),
  copy: (_, step) => RULE_STORIES[state.modes[step.name] ?? step.op](""),
  frame: () => "The map is cropped, or framed by zeros.",
  blend: () => "Fixed weights interpolate between neighbouring values.",
  add: () => "The maps of its inputs are summed.",
  concat: () => "The maps of its inputs follow one after the other; none is changed.",
  pixelwise: () => "Every pixel is changed by itself.",
};

const RULE_STORIES = {
  switches: (pool) => `Every value is written at its switch, where ${pool} found it, and 0 elsewhere. Details return to their positions.`,
  nearest: () => "Every value is repeated over its block. The positions inside the block are lost.",
  nails: () => "Every value is written at the upper left of its block, and 0 elsewhere. The positions inside the block are lost.",
};

function usesSwitches(pool) {
  return network.steps.some((step) => step.op === "unpool" && network.steps[step.inputs[1] - 1] === pool);
}

function afterwards(layer) {
  return layer.after.length ? `, then ${layer.after.join(" and ")}` : "";
}

function drawWords() {
  const { card, m, switches } = state.selected, { layer, step } = card;
  const map = `${switches ? "switches of " : ""}map ${layer.channels[m]}`;
  byId("story").replaceChildren(element("b", {}, layer.name), ` (${map}). ${STORIES[layer.kind](layer, step)}`);
}

function drawStatus() {
  let count = 0;
  for (const turned of Object.values(state.turned)) count += turned.size;
  byId("switches").hidden = !count;
  byId("switch-count").textContent = count === 1 ? "1 switch set by hand" : `${count} switches set by hand`;
  byId("time").textContent = `One pass through the network: ${passTime < 10 ? passTime.toFixed(1) : passTime.toFixed(0)} ms.`;
}
