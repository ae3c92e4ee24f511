"""Recomputing gives the ordinary step's bits, and holds less at its worst moment."""

from itertools import chain, combinations, pairwise

import numpy as np
import pytest

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from
from scratchnet.layers import BatchNorm2d, Dropout
from scratchnet.models import build
from scratchnet.network.checkpointing import StepMemory, choose_segments, peak_bytes
from scratchnet.training.distributed.sharing import share_batches
from scratchnet.utils.random_stream import RandomStream
from tests.compare import numbers
from tests.costs import counted
from tests.engine.capture.test_captured_network import batch, same_state, same_step
from tests.models.test_models import SMALL, framed, stirred
from tests.ranks import together
from tests.tiny import recipe, trained

MODELS = {
    "bloodcell": SMALL["bloodcell"][1],
    "deconvnet-small": SMALL["deconvnet-small"][0],
    "fcn8s": SMALL["fcn8s"][1],
    "unet-same": SMALL["unet-same"][0],
    "segnet-basic": SMALL["segnet-basic"][0],
}


def pair_of(name, dtype=np.float32):
    """A network that recomputes, its ordinary twin, and the shape of a batch."""
    options, size = MODELS[name]
    net, twin = (stirred(build(name, 3, 3, **options), np.dtype(dtype).type).train() for _ in range(2))
    net.activation_checkpointing = True
    return net, twin, (2, *framed(net, size), 3)


def segments_of(net, shape):
    return choose_segments(net.step_memory(shape[1:3], shape[0]))


def itself(net):
    return net


# The same bits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [itself, CapturedNetwork])
@pytest.mark.parametrize("name", MODELS)
def test_a_recomputed_step_is_the_ordinary_one_bit_for_bit(cores, name, passes):
    """Outputs, gradients and running statistics; each step goes on where the one before has updated to."""
    cores(2 if passes is CapturedNetwork else 1)
    net, twin, shape = pair_of(name)
    assert len(segments_of(net, shape)) > 1
    fast = passes(net)
    for seed in range(4 if passes is CapturedNetwork else 3):
        same_step(fast, net, twin, batch(seed, shape), seed, needs_input_grad=True)


@pytest.mark.parametrize("name", ["fcn8s", "bloodcell"])
def test_other_modes_and_passes_in_between(cores, name):
    """Recorded with and without, frozen statistics, evaluation between two steps, gradients that add up."""
    cores(1)
    net, twin, shape = pair_of(name)
    fast = CapturedNetwork(net)
    for seed in range(8):
        net.activation_checkpointing = seed % 4 != 3
        for each in (net, twin):
            each.train().freeze_batch_norm(seed % 2 == 1)
        same_step(fast, net, twin, batch(seed, shape), seed)
        for each in (net, twin):
            each.eval().forward(batch(seed, (1, *shape[1:])))


def test_dropout_goes_on_with_its_stream_after_the_backward_pass(cores):
    """Without a new seed, the second step draws other numbers than the first, and those that it would have drawn."""
    cores(1)
    net, twin, shape = pair_of("fcn8s")
    for turn in range(3):
        y, expected = net.forward(batch(0, shape)), twin.forward(batch(0, shape))
        np.testing.assert_array_equal(y, expected)
        for each in (net, twin):
            each.backward(numbers(*y.shape, seed=turn, dtype=np.float32))
        same_state(net, twin)


def test_a_stream_that_is_set_before_the_backward_pass_is_left_as_it_was(cores):
    cores(1)
    net, twin, shape = pair_of("fcn8s")
    for each in (net, twin):
        y = each.forward(batch(0, shape))
        each.reseed(5)
        each.backward(numbers(*y.shape, dtype=np.float32))
    same_state(net, twin)
    np.testing.assert_array_equal(net.forward(batch(0, shape)), twin.forward(batch(0, shape)))


def test_a_forward_pass_that_keeps_nothing_leaves_nothing_to_recompute(cores):
    cores(1)
    net, _, shape = pair_of("bloodcell")
    y = net.forward(batch(0, shape))
    net.forward(batch(0, shape), keep=False)
    with pytest.raises(RuntimeError, match="backward was called without a forward before it"):
        net.backward(y)
    assert not net._last.stored


def test_ranks_sum_as_often_as_without(cores):
    """Statistics of the whole batch are not asked for a second time; unequal shares, so they differ from one's own."""
    cores(1)

    def step(ranks, checkpointing):
        net, _, shape = pair_of("deconvnet-small", np.float64)
        net.activation_checkpointing = checkpointing
        share_batches(net, ranks)
        x = batch(0, (3, *shape[1:]), np.float64)[:2] if ranks.rank == 0 else batch(0, (3, *shape[1:]), np.float64)[2:]
        for _ in range(3):
            y = net.forward(x)
            net.backward(numbers(*y.shape, seed=ranks.rank))
        return net, ranks.calls

    for (found, calls), (expected, expected_calls) in zip(
        together(2, lambda ranks: step(ranks, True)), together(2, lambda ranks: step(ranks, False)), strict=True
    ):
        same_state(found, expected)
        assert calls == expected_calls > 0


def forget_to_override(kind):
    return lambda patch: patch.delattr(kind, "forward_again")


def leave_the_stream(patch):
    uniform = RandomStream.uniform
    patch.setattr(RandomStream, "uniform", lambda stream, shape, xp, again: uniform(stream, shape, xp))


@pytest.mark.parametrize(
    ("name", "bug"),
    [
        ("deconvnet-small", forget_to_override(BatchNorm2d)),  # averages move twice
        ("fcn8s", forget_to_override(Dropout)),  # drops other numbers
        ("fcn8s", leave_the_stream),  # …
    ],
    ids=["statistics moved twice", "dropout drawn anew", "dropout drawn from where the stream is"],
)
def test_planted_bugs_are_noticed(cores, monkeypatch, name, bug):
    cores(1)
    bug(monkeypatch)
    net, twin, shape = pair_of(name)

    def steps():
        for seed in range(3):
            same_step(net, net, twin, batch(seed, shape), seed)

    with pytest.raises(AssertionError, match="not equal"):
        steps()


# Memory ---------------------------------------------------------------------------------------------------------------


def bytes_of_a_step(model, size, checkpointing):
    """Return what a step holds of its own at its worst moment, and what was counted from the shapes."""
    net = stirred(build(model, 2, 3, size=size, width=8)).train()
    net.activation_checkpointing = checkpointing
    held = net.step_memory((size, size), 2, recompute_inputs=not checkpointing)
    x = batch(0, (2, size, size, 3))
    with counted() as costs, allocate_from(Arena()):
        y = net.forward(x)
        net.backward(np.ones_like(y))
    return costs.block_bytes, peak_bytes(held, choose_segments(held) if checkpointing else (range(len(held)),))


def test_the_step_holds_less_and_about_what_was_counted(cores):
    cores(1)
    (before, counted_before), (after, counted_after) = (
        bytes_of_a_step("deconvnet-small", 96, checkpointing) for checkpointing in (False, True)
    )
    assert after < 0.6 * before
    scratch = 3_500_000  # of the convolutions, and the gradients of their weights
    assert counted_before <= before < counted_before + scratch
    assert counted_after <= after < counted_after + scratch


def random_chain(seed):
    """Steps of random sizes, some with skips, some that no segment may begin with."""
    rng = np.random.default_rng(seed)
    steps = []
    for i in range(8):
        takes = {"input"} if i == 0 else {str(i - 1), str(rng.integers(i))}
        size = int(rng.integers(1, 20))
        steps.append(StepMemory(((str(i), size, size),), tuple(sorted(takes)), bool(rng.integers(4))))
    return tuple(steps)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_plan_needs_less(seed):
    steps = random_chain(seed)
    cuts = [i for i in range(1, len(steps)) if steps[i].may_start_segment]
    peaks = []
    for chosen in chain.from_iterable(combinations(cuts, k) for k in range(len(cuts) + 1)):
        ends = (0, *chosen, len(steps))
        peaks.append(peak_bytes(steps, [range(begin, end) for begin, end in pairwise(ends)]))
    found = choose_segments(steps)
    assert peak_bytes(steps, found) == min(peaks)
    assert [i for segment in found for i in segment] == list(range(len(steps)))
    assert all(steps[segment.start].may_start_segment for segment in found[1:])


def test_memory_of_one_plan_by_hand():
    """input → a (8) → b (4) → c (2) with a skip from a, cut in front of b and of c; gradients are as large as values.

    c: b took a (8), c takes a and b (12); its value (2), its gradient (2) and those by a and b (12).
    b: a is stored (8), b's value (4), the gradients of a (8, from c) and of b (4), and that by a from b (8).
    """
    steps = tuple(
        StepMemory(((name, size, size),), takes, may_start_segment=True)
        for name, size, takes in (("a", 8, ("input",)), ("b", 4, ("a",)), ("c", 2, ("a", "b")))
    )
    assert peak_bytes(steps, (range(3),)) == 8 + 4 + 2 + 2 + 12
    assert peak_bytes(steps, (range(1), range(1, 2), range(2, 3))) == max(8 + 12 + 2 + 2 + 12, 8 + 4 + 8 + 4 + 8)


def test_a_run_that_recomputes_is_the_same_run(tmp_path):
    made = {}
    for checkpointing in (False, True):
        made[checkpointing] = trained(
            tmp_path / str(checkpointing),
            made=recipe("unet-same", {"width": 1 / 32, "depth": 2, "batch_norm": True}),
            per_image_bn=True,
            epochs=2,
            activation_checkpointing=checkpointing,
        )
        assert made[checkpointing].network.activation_checkpointing is checkpointing
    np.testing.assert_array_equal(made[True].network.flat().values, made[False].network.flat().values)
