"""Architecture diagrams."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from scratchnet.models import MODELS, build
from scratchnet.visualization import ROLES, architecture_figure, network_graph

SIZE = {"deconvnet": 224, "bloodcell": 128, "unet": 572, "fcn8s": 500, "segnet": 224, "mobile-unet": 224}


def drawn(name, **options):
    net = build(name, 2, **options)
    nodes, edges = network_graph(net, (SIZE[name], SIZE[name]))
    return nodes, {(nodes[j.source].name, nodes[j.target].name, j.switches) for j in edges}


def arcs(edges, switches):
    return {(source, target) for source, target, remembered in edges if remembered == switches}


def test_every_pool_of_deconvnet_sends_its_switches_to_its_unpooling():
    nodes, edges = drawn("deconvnet")
    assert len(nodes) == 1 + 13 + 5 + 3 + 5 + 13 + 1
    assert arcs(edges, switches=True) == {(f"pool{i}", f"unpool{i}") for i in range(1, 6)}
    assert {b.name for b in nodes if b.kind == "switches"} == {f"{u}pool{i}" for i in range(1, 6) for u in ("", "un")}
    (fc6,) = [node for node in nodes if node.name == "fc6"]
    assert fc6.shape == (1, 1, 1, 4096)
    assert len(arcs(edges, switches=False)) == len(nodes) - 1  # a chain


def test_unet_lays_its_left_maps_beside_the_right_ones():
    nodes, edges = drawn("unet")
    both = {(f"conv{i}_2", f"cat{i}") for i in range(1, 5)} | {(f"up{i}", f"cat{i}") for i in range(1, 5)}
    assert {edge for edge in arcs(edges, switches=False) if edge[1].startswith("cat")} == both
    assert not arcs(edges, switches=True)
    assert all(node.kind != "switches" for node in nodes)
    (skip,) = [node for node in nodes if node.name == "conv4_2"]
    assert skip.value == "drop4"  # and not its crop
    assert (nodes[0].kind, nodes[-1].kind, nodes[-1].shape) == ("image", "result", (1, 388, 388, 2))


def test_fcn8s_adds_two_pools_and_ends_with_a_crop():
    nodes, edges = drawn("fcn8s")
    sums = {edge for edge in arcs(edges, switches=False) if edge[1].startswith("fuse")}
    assert sums == {
        ("upscore2", "fuse_pool4"),
        ("score_pool4", "fuse_pool4"),
        ("upscore_pool4", "fuse_pool3"),
        ("score_pool3", "fuse_pool3"),
    }
    assert ("pool3", "score_pool3", False) in edges
    assert [node.shape[1] for node in nodes[-2:]] == [568, 500]
    assert {source for source, target, _ in edges if target == "score"} == {"upscore8"}  # not the image it is cut to


@pytest.mark.parametrize("name", ["deconvnet", "segnet", "unet", "fcn8s", "bloodcell"])
def test_the_drawing(name):
    options = {"unpool": "switches"} if name == "bloodcell" else {}
    net, size = build(name, 2, **options), (SIZE[name], SIZE[name])
    nodes, edges = network_graph(net, size)
    figure = architecture_figure(net, size, name)
    (axes,) = figure.axes
    boxes = [patch for patch in axes.patches if patch.get_gid() is None]
    assert len(boxes) == len(nodes)
    lefts = [box.get_x() for box in boxes]
    assert lefts == sorted(lefts)
    for one, other in pairwise(nodes):  # higher is more rows, wider is more channels
        a, b = (boxes[nodes.index(node)] for node in (one, other))
        assert np.sign(round(a.get_height() - b.get_height(), 6)) == np.sign(one.shape[1] - other.shape[1])
        if min(one.shape[3], other.shape[3]) >= 16:
            assert np.sign(round(a.get_width() - b.get_width(), 6)) == np.sign(one.shape[3] - other.shape[3])

    drawn = [patch for patch in axes.patches if patch.get_gid() is not None]
    wanted = [j for j in edges if j.switches or j.target - j.source > 1]
    assert len(drawn) == len(wanted)
    paths = []
    for edge in wanted:  # each arc begins over its first box and ends over its second, above all between them
        (arc,) = [patch for patch in drawn if patch.get_gid() == f"{edge.source}-{edge.target}"]
        assert to_hex(arc.get_edgecolor()) == ROLES["switch"] if edge.switches else True
        points = arc.get_path().vertices
        for point, box in ((points[0], boxes[edge.source]), (points[-1], boxes[edge.target])):
            assert box.get_x() < point[0] < box.get_x() + box.get_width()
            assert point[1] > box.get_y() + box.get_height()
        top = points[:, 1].max()
        assert all(top > box.get_y() + box.get_height() for box in boxes[edge.source : edge.target + 1])
        paths.append((points[0, 0], points[-1, 0], top))
    for i, (start, end, top) in enumerate(paths):  # no two run on one another
        for start2, end2, top2 in paths[:i]:
            assert end < start2 or end2 < start or abs(top - top2) > 0.05


def test_every_model_can_be_drawn():
    for name, model in MODELS.items():
        nodes, edges = network_graph(build(name, 3), model.size)
        assert {edge.target for edge in edges} == set(range(1, len(nodes)))  # nothing hangs loose
        assert nodes[-1].shape[3] == 3


def test_a_size_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="step"):
        architecture_figure(build("deconvnet", 2), (100, 100))
