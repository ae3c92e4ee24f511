"""The page's engine in headless Chromium, step by step, compared with the library."""

import base64
import json
import re

import numpy as np

from scratchnet.layers import BatchNorm2d, MaxPool2d
from scratchnet.losses import probabilities
from scratchnet.visualization.html import asset, page
from scratchnet.visualization.live.steps import describe_steps
from scratchnet.visualization.live.weights import Parameters, pack_floats
from tests.browser import dump

SCRIPTS = ("unpack", "matrix", "convolution", "pooling", "layers", "engine")

COMPARE = """
const data = JSON.parse(document.getElementById("data").textContent);
// The largest difference of two arrays, as a share of the largest value if that is above 1.
function difference(found, expected) {
  let most = 0, largest = 1;
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(found[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return found.length === expected.length ? most / largest : Infinity;
}
async function compare() {
  const kernels = await inflateFloats(data.parameters.kernels, data.parameters.precision);
  const network = new LiveNetwork(data, kernels, await inflateFloats(data.parameters.vectors));
  const [height, width, channels] = data.size;
  const input = { height, width, channels, data: await inflateFloats(data.input) };
  const expected = [], turned = {};
  for (const text of data.values) expected.push(await inflateFloats(text));
  let gap = 0, ties = 0;
  for (const [i, step] of network.steps.entries()) {
    if (step.op !== "pool") continue;
    // Two programs may choose different ones of two almost equal maxima; then the page goes on with the library's.
    const pooled = network.run(input, { modes: data.modes, turned })[i + 1];
    const switches = Uint8Array.from(atob(data.switches[step.name]), (c) => c.charCodeAt(0));
    turned[step.name] = new Map();
    switches.forEach((place, at) => {
      if (place === pooled.switches[at]) return;
      turned[step.name].set(at, place);
      ties += 1;
      gap = Math.max(gap, Math.abs(pooled.data[at] - expected[i][at]));
    });
  }
  const started = performance.now();
  const values = network.run(input, { modes: data.modes, turned }), time = performance.now() - started;
  const steps = network.steps.map((step, i) => [step.name, difference(values[i + 1].data, expected[i])]);
  const scores = difference(probabilitiesOf(values[values.length - 1]), await inflateFloats(data.probabilities));
  const answer = document.createElement("pre");
  answer.id = "answer";
  answer.textContent = JSON.stringify({ steps, gap, ties, time, probabilities: scores });
  document.body.append(answer);
}
compare();
"""


def settled(net, seed=0):
    """Give every parameter and running statistic a random value, as training would."""
    rng = np.random.default_rng(seed)
    for parameter in net.parameters().values():
        value = parameter.value
        fan_in = np.prod(value.shape[:3]) if value.ndim == 4 else 1
        value += rng.normal(0, 0.3 / fan_in**0.5, value.shape).astype(value.dtype)
    for step in net.steps:
        if isinstance(step.layer, BatchNorm2d):
            for name, low in (("running_mean", -0.5), ("running_var", 0.5)):
                buffer = step.layer.buffers[name].value
                buffer[:] = rng.uniform(low, low + 1, buffer.shape)
    return net.eval()


def library(net, x):
    """Return the value of every step and the switches of every pool."""
    pools = {step.name: step.layer for step in net.steps if isinstance(step.layer, MaxPool2d)}
    values, switches = {}, {}
    for name, value in net.walk(x, keep=True):
        values[name] = value.copy()
        if name in pools:
            switches[name] = base64.b64encode(pools[name].switches.index.tobytes()).decode("ascii")
    return values, switches


def compare(net, x, tmp_path, precision="float32", expected=None, modes=None):
    """Run a network in the page and return its differences from the library.

    ``expected`` is the network that the library runs, the same one by default; ``modes`` replaces unpoolings.
    """
    parameters = Parameters()
    steps = describe_steps(net, x.shape[1:3], parameters)
    values, switches = library(expected or net, x)
    last = values[net.steps[-1].name]
    data = {
        "steps": steps,
        "parameters": parameters.pack(precision),
        "size": x.shape[1:],
        "input": pack_floats(x),
        "values": [pack_floats(value) for value in values.values()],
        "switches": switches,
        "probabilities": pack_floats(probabilities(last)),
        "modes": modes or {},
    }
    script = "\n".join(asset(f"live/assets/{name}.js") for name in SCRIPTS)
    body = f'<script type="application/json" id="data">{json.dumps(data)}</script>'
    path = tmp_path / "engine.html"
    path.write_text(page("engine", body, script=f'"use strict";\n{script}\n{COMPARE}'), "utf-8")
    found = re.search(r'<pre id="answer">(.*?)</pre>', dump(path, tmp_path), re.DOTALL)
    assert found, "the page's script stopped"
    return json.loads(found[1])
