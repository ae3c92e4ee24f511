"""The modes of a network: training or evaluation, batch norm's statistics, random streams, frozen parameters."""

from typing import Literal, Self

from scratchnet.arrays import generator
from scratchnet.layers.activation import Dropout
from scratchnet.layers.base import Layer
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.layers.pooling import MaxPool2d
from scratchnet.network.freezing import matching, set_frozen
from scratchnet.network.memory import NetworkMemory
from scratchnet.network.ownership import layers_of


class NetworkModes(NetworkMemory):
    """Base class of a network: switches the modes of its layers."""

    training = False
    """Whether the network is in training mode, see :meth:`train`."""

    def train(self, training: bool = True) -> Self:
        """Switch to training mode or, with False, to evaluation mode; return the network.

        In training mode, dropout drops elements and batch norm uses the statistics of the batch.
        """
        self.training = training
        for step in self.steps:
            for layer in layers_of(step.layer):
                layer.set_training(training)
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode; return the network."""
        return self.train(False)

    def batch_norms(self) -> dict[str, BatchNorm2d]:
        """Return the batch norm layers by step name."""
        return {s.name: s.layer for s in self.steps if isinstance(s.layer, BatchNorm2d)}

    def dropouts(self) -> dict[str, Dropout]:
        """Return the dropout layers that drop anything, by step name."""
        return {s.name: s.layer for s in self.steps if isinstance(s.layer, Dropout) and s.layer.rate > 0}

    def use_dropout(self, active: bool = True) -> Self:
        """Let dropout drop elements in evaluation mode too, while batch norm keeps its mode; return the network.

        This makes passes random, for :mod:`scratchnet.inference.uncertainty`. ``train`` and ``eval`` reset it.
        """
        for layer in self.dropouts().values():
            layer.set_training(active or self.training)
        return self

    def pools(self) -> dict[str, MaxPool2d]:
        """Return the layers that make switches by step name."""
        return {s.name: s.layer for s in self.steps if isinstance(s.layer, MaxPool2d)}

    def use_statistics(self, which: Literal["running", "batch"]) -> Self:
        """Choose the statistics that batch norm uses in evaluation mode; return the network."""
        for layer in self.batch_norms().values():
            layer.use_statistics(which)
        return self

    def freeze_batch_norm(self, frozen: bool = True) -> Self:
        """Let batch norm use its running statistics in training too, without updating them; return the network."""
        for layer in self.batch_norms().values():
            layer.freeze_statistics(frozen)
        return self

    def reseed(self, seed: int, *key: int | str, first: int = 0) -> None:
        """Seed the random stream of every layer that has one, from ``seed``, ``key`` and the name of its step alone.

        ``first`` is the number of the next image in its batch: a part of a batch gets the same random values as in the
        whole batch.
        """
        for step in self.steps:
            for number, layer in enumerate(layers_of(step.layer)):
                if type(layer).seed is not Layer.seed:
                    name = f"{step.name}/{number}" if number else step.name
                    layer.seed(generator(seed, name, *key), first)

    def freeze(self, *patterns: str, statistics: bool = False) -> Self:
        """Freeze the parameters that match the patterns; return the network.

        A frozen parameter is not updated and does not decay, and the optimiser's state for it is unchanged. No gradient
        is computed for it, nor for any value before the first step that is still trained.

        Parameters
        ----------
        *patterns : str
            Compared with the names of parameters (``"conv1.weight"``) and of steps (``"conv1"``); ``*``, ``?`` and
            ``[…]`` match as in a shell.
        statistics : bool
            Whether batch norm layers whose parameters are all frozen also use their running statistics in training,
            without updating them. By default they do not, as in PyTorch: freezing parameters does not freeze
            statistics.

        Raises
        ------
        ValueError
            If a pattern matches no parameter; nothing is frozen then.
        """
        set_frozen(self, matching(self.parameters(), patterns), True, statistics)
        return self

    def unfreeze(self, *patterns: str) -> Self:
        """Unfreeze the parameters that match the patterns, or all of them without a pattern; return the network.

        The statistics of their batch norm layers are updated again as well.
        """
        set_frozen(self, matching(self.parameters(), patterns or ("*",)), False, True)
        return self

    def frozen(self) -> list[str]:
        """Return the names of the frozen parameters, in the order of the flat buffers."""
        return [name for name, parameter in self.parameters().items() if parameter.frozen]
