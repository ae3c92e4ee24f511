import numpy as np
import pytest

from scratchnet.layers import Conv2d, MaxPool2d
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.network.switch_memory import SwitchMemory, count_switches, measure_switches, switch_table


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        (MaxPool2d(2), (1, 180, 240, 64)),
        (MaxPool2d(2, ceil_mode=True), (2, 45, 7, 3)),
        (MaxPool2d(3, 2, 1), (1, 9, 9, 5)),
        (MaxPool2d((4, 1)), (1, 8, 3, 1)),
    ],
    ids=["SegNet", "odd", "overlapping", "tall"],
)
def test_what_is_counted_is_what_is_measured(pool, shape):
    assert count_switches(pool, shape) == measure_switches(pool, shape)
    assert pool.switches is None


def test_segnets_figure():
    found = measure_switches(MaxPool2d(2), (1, 180, 240, 64))
    assert found == SwitchMemory(11_059_200, 5_529_600, 691_200, 172_800)


def test_deconvnets_switches():
    table = switch_table(build("deconvnet", 21), (224, 224)).splitlines()
    assert len(table) == 1 + 5 + 1 + 1
    assert table[-2].split() == ["all", "24.49", "12.24", "1.53", "0.38"]
    assert table[-1] == "(counted from the shapes)"


def test_measuring_needs_no_weights_and_agrees(monkeypatch):
    net = build("segnet-basic", 2, width=1 / 8)
    counted, measured = (switch_table(net, (45, 33), measured=m).splitlines() for m in (False, True))
    assert counted[:-1] == measured[:-1]
    assert measured[-1] == "(measured: made from noise, packed and unpacked again)"
    assert net.buffers is None


def test_windows_of_nine_are_not_packed():
    net = Network(1)
    net.add("conv", Conv2d(1, 4, 1))
    net.add("pool", MaxPool2d(3))
    assert switch_table(net, (900, 900)).splitlines()[1].split()[-2:] == ["0.36", "0.36"]


def test_switches_that_do_not_survive_packing_are_an_error(monkeypatch):
    import scratchnet.network.switch_memory as module

    right = module.unpack_switches

    def wrong(stored):
        switches = right(stored)
        switches.index[...] = np.roll(switches.index, 1, axis=2)
        return switches

    monkeypatch.setattr(module, "unpack_switches", wrong)
    with pytest.raises(RuntimeError, match="not those that were packed"):
        measure_switches(MaxPool2d(2), (1, 8, 8, 3))
