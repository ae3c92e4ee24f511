"""The table of ``scratchnet bench step --model all``: a training step of every kind of network, and one forward pass.

Sizes and batches are such that the whole table takes minutes. Widths below 1 keep the layers of the paper's network
and multiply its numbers of filters. The classes are those of the data that the network was published with: 21 for
PASCAL VOC, 11 for CamVid, 2 for cells and their background.
"""

from benchmarks.harness.network_cases import MIRROR, NetworkCase, network_case

ALL = "all"
"""The name that stands for the whole table."""


def table_cases() -> list[NetworkCase]:
    """Return the networks whose training steps are measured."""
    return [
        network_case(MIRROR, (224, 224), 1, 21),
        network_case(MIRROR, (224, 224), 4, 21),
        network_case("deconvnet-small", (128, 128), 8, 2),
        network_case("bloodcell", (128, 128), 8, 2),
        network_case("squares", (256, 256), 2, 2),
        network_case("segnet-basic", (180, 240), 4, 11, {"width": 0.5}),
        network_case("mobile-unet", (128, 128), 4, 2, {"width": 0.5}),
        network_case("unet-same", (128, 128), 4, 2, {"width": 0.25}),
        network_case("segnet", (128, 128), 4, 11, {"width": 0.25}),
        network_case("fcn8s", (128, 128), 4, 21, {"width": 0.25}),
    ]


def forward_case() -> NetworkCase:
    """Return the network whose forward pass over one large image is measured, the table's last row."""
    return network_case("bloodcell", (1024, 1024), 1, 2)
