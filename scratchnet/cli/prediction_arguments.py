"""Arguments of inference, shared by the commands that segment images."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from scratchnet.cli.flags import Alone, Metavar, flag_name
from scratchnet.config.sizes import Side, Size
from scratchnet.engine.device import DeviceName, array_module, computing
from scratchnet.engine.modes import MatrixPrecision
from scratchnet.inference import (
    Aggregation,
    DenseCrf,
    Ensemble,
    EnsembleRule,
    MultiScale,
    Predictor,
    PriorCorrected,
    ProposalSegmenter,
    Refined,
    Scorer,
    Segmenter,
)
from scratchnet.inference.box_files import proposals_from_file
from scratchnet.inference.boxes import Proposals, proposals_from_grid, proposals_from_segments
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.contents import Checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.verbosity import warn
from scratchnet.utils.wording import pixels


@dataclass(frozen=True, kw_only=True)
class PredictionArguments:
    """Arguments of inference."""

    device: DeviceName = "cpu"
    """cpu, or gpu (an NVIDIA GPU, through CuPy)."""
    precision: MatrixPrecision = "float32"
    """Precision of matrix products on a GPU: float32, or with shorter mantissas on its tensor cores (tf32, bf16)."""
    bn_statistics: Literal["running", "batch"] = "running"
    """Statistics of batch norm: running averages, or those of each image (batch)."""
    resize: Size | None = None
    """Resize every image to this height and width for the network; the mask has the image's own size. Default: as in
    training."""
    tile: Side | None = None
    """Cut images into tiles of this side. Default: no tiles up to 544 pixels, tiles of 448 for larger images."""
    overlap: int | None = None
    """Overlap of the tiles in pixels. Default: a quarter of their side."""
    flip: bool = False
    """Average with the result of the horizontally flipped image."""
    scales: tuple[float, ...] = (1.0,)
    """Average over the image scaled by these factors, for example 0.75 1 1.25. They are factors on the size to which
    images are resized, if they are."""
    proposals: str | None = None
    """Segment object boxes instead of whole images: "grid" (squares of several sizes), "segments" (around regions of
    similar colour; needs scikit-image), or a CSV or JSON file with image, x0, y0, x1, y1 and optionally score."""
    aggregate: Aggregation | None = None
    """How to combine the scores of overlapping boxes: max (default), sum, or released (as in DeconvNet's released code:
    maximum with 0, small boxes skipped)."""
    max_proposals: int | None = None
    """Maximum number of boxes per image. Default: 50."""
    box_size: Side | None = None
    """Side to which boxes are resized, for networks that take any size. Default: as in a training on boxes."""
    box_context: float | None = None
    """Factor on height and width of the boxes of a file, to include the surroundings of objects. Default: 1."""
    ensemble: str | None = None
    """Combine the result with that of this second checkpoint, trained on the same classes."""
    ensemble_rule: EnsembleRule | None = None
    """mean of the probabilities (default), or product of the scores (as in DeconvNet's released code, with FCN as the
    second checkpoint)."""
    prior_correction: Annotated[float | None, Metavar("P"), Alone(0.5)] = None
    """Divide the probabilities by the class weights of the training to the power of P (0.5 if no number follows), for
    networks that mark too many pixels as rare classes. 1 removes the effect of the weights."""
    crf: bool = False
    """Refine the result with a fully connected CRF: neighbours of similar colour get similar labels."""
    crf_iterations: int | None = None
    """Iterations of the CRF. Default: 10."""
    crf_gaussian: tuple[float, float] | None = None
    """Standard deviation in pixels and weight of the CRF's smoothness kernel. Default: 3 3."""
    crf_bilateral: tuple[float, float, float] | None = None
    """Standard deviations in pixels and in grey levels, and weight, of the CRF's appearance kernel. Default: 20 3 5."""

    def predictor(self, checkpoint: Checkpoint) -> Predictor:
        """Return a predictor with a checkpoint's network.

        Raises
        ------
        UserError
            When the arguments contradict each other or do not suit the network.
        """
        self._check()
        found: Predictor
        first = self._boxed(checkpoint) if self.proposals is not None else self._whole(checkpoint)
        first = self._corrected(first, checkpoint, "")
        if self.ensemble is None:
            found = first
        else:
            other = load_checkpoint(self.ensemble)
            if other.spec.classes != checkpoint.spec.classes:
                raise UserError(
                    f"{self.ensemble}: was trained on the classes {', '.join(other.spec.classes)}, but the first "
                    f"checkpoint on {', '.join(checkpoint.spec.classes)}; an ensemble needs the same ones"
                )
            second = self._corrected(self._whole(other), other, f"{self.ensemble}: ")
            found = Ensemble(first, second, self.ensemble_rule or "mean")
        if self.crf:
            found = Refined(found, self._field())
        return found

    def computing(self) -> AbstractContextManager[ModuleType]:
        """Return a context manager for the chosen device and precision."""
        return computing(self.device, self.precision)

    def words(self) -> str:
        """Return a summary of the non-default arguments, each after a comma; "" if there are none."""
        parts = {
            f"boxes: {self.proposals}, {self.aggregate or 'max'}": self.proposals is not None,
            f"resized to {pixels(*self.resize or (0, 0))}": self.resize is not None,
            f"scales {' '.join(f'{scale:g}' for scale in self.scales)}": self.scales != (1.0,),
            "flipped too": self.flip,
            f"{self.ensemble_rule or 'mean'} with {self.ensemble}": self.ensemble is not None,
            f"prior correction {self.prior_correction}": self.prior_correction is not None,
            "CRF": self.crf,
        }
        return "".join(f", {words}" for words, done in parts.items() if done)

    def chosen(self) -> dict[str, Any]:
        """Return the arguments with non-default values, except ``bn_statistics``."""
        shown = [f for f in fields(PredictionArguments) if f.name != "bn_statistics"]
        return {f.name: getattr(self, f.name) for f in shown if getattr(self, f.name) != f.default}

    def _whole(self, checkpoint: Checkpoint) -> Scorer:
        """Return a predictor for whole images or tiles of them."""
        preprocessing = checkpoint.spec.preprocessing
        network = checkpoint.network.to(array_module(self.device)).use_statistics(self.bn_statistics)
        if self.resize is not None:
            preprocessing = replace(preprocessing, resize=self.resize)
        segmenter = Segmenter(network, preprocessing, self.tile, self.overlap, self.flip)
        if self.resize is not None:
            try:
                segmenter.check_network_size(*self.resize)
            except UserError as error:
                raise UserError(f"--resize {pixels(*self.resize)}: {error}") from error
        return segmenter if self.scales == (1.0,) else MultiScale(segmenter, self.scales)

    def _boxed(self, checkpoint: Checkpoint) -> Scorer:
        """Return a predictor for boxes."""
        network = checkpoint.network.to(array_module(self.device)).use_statistics(self.bn_statistics)
        segmenter = Segmenter(network, checkpoint.spec.preprocessing, flip=self.flip)
        limit = 50 if self.max_proposals is None else self.max_proposals
        side = self.box_size or _side_in_training(checkpoint.spec.settings)
        return ProposalSegmenter(segmenter, self._boxes(limit), self.aggregate or "max", side, limit)

    def _corrected(self, scorer: Scorer, checkpoint: Checkpoint, whose: str) -> Scorer:
        """Return a predictor whose probabilities are corrected for the class weights, if that is asked for."""
        if self.prior_correction is None:
            return scorer
        try:
            weights = checkpoint.spec.class_weights()
        except UserError as error:
            raise UserError(f"{whose}--prior-correction: {error}") from error
        if weights is None:
            warn(f"{whose}--prior-correction: changes nothing, because the network was trained without class weights")
            return scorer
        return PriorCorrected(scorer, weights, self.prior_correction)

    def _boxes(self, limit: int) -> Proposals:
        assert self.proposals is not None
        if self.proposals == "grid":
            return proposals_from_grid(limit)
        if self.proposals == "segments":
            return proposals_from_segments(limit)
        if not Path(self.proposals).is_file():
            raise UserError(
                f"--proposals {self.proposals}: no such file; expected grid, segments, or a CSV or JSON file of boxes"
            )
        return proposals_from_file(self.proposals, self.box_context or 1.0)

    def _field(self) -> DenseCrf:
        chosen = {
            "gaussian": self.crf_gaussian,
            "bilateral": self.crf_bilateral,
            "iterations": self.crf_iterations,
        }
        return DenseCrf(**{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]

    def _check(self) -> None:
        """Refuse arguments that contradict each other, and values out of range."""
        for name, needed in _NEEDS.items():
            if getattr(self, name) is not None and getattr(self, needed) in (None, False):
                raise UserError(f"{flag_name(name)}: has no effect without {flag_name(needed)}")
        if self.proposals is not None:
            for name in ("resize", "tile", "overlap", "scales"):
                if getattr(self, name) not in (None, (1.0,)):
                    raise UserError(
                        f"{flag_name(name)}: cannot be combined with --proposals, whose boxes all get one size"
                    )
        if self.box_context is not None and self.proposals in ("grid", "segments"):
            raise UserError(
                f"--box-context: cannot be combined with --proposals {self.proposals}; it is for boxes of a file"
            )
        reach, weight = "a standard deviation of 0.1 to 10000", "a weight of 0 to 10000"
        power = self.prior_correction
        gaussian, bilateral = self.crf_gaussian or (1.0, 0.0), self.crf_bilateral or (1.0, 1.0, 0.0)
        for name, good, expected in (
            ("resize", self.resize is None or max(self.resize) <= 100_000, "at most 100000"),
            ("scales", bool(self.scales) and all(0.1 <= s <= 4 for s in self.scales), "numbers from 0.1 to 4"),
            ("max_proposals", self.max_proposals is None or 1 <= self.max_proposals <= 10_000, "1 to 10000"),
            ("box_size", self.box_size is None or 1 <= self.box_size <= 10_000, "1 to 10000"),
            ("box_context", self.box_context is None or 0.5 <= self.box_context <= 4, "0.5 to 4"),
            ("prior_correction", power is None or 0 <= power <= 2, "0 to 2, for example 0.5"),
            ("crf_iterations", self.crf_iterations is None or 1 <= self.crf_iterations <= 1000, "1 to 1000"),
            ("crf_gaussian", _is_kernel(gaussian), f"{reach} and {weight}"),
            ("crf_bilateral", _is_kernel(bilateral), f"two times {reach}, and {weight}"),
        ):
            if not good:
                value = getattr(self, name)
                words = " ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else value
                raise UserError(f"{flag_name(name)} {words}: expected {expected}")


_NEEDS = {
    "aggregate": "proposals",
    "max_proposals": "proposals",
    "box_size": "proposals",
    "box_context": "proposals",
    "ensemble_rule": "ensemble",
    "crf_iterations": "crf",
    "crf_gaussian": "crf",
    "crf_bilateral": "crf",
}
"""Arguments that need another one."""


def _side_in_training(settings: Mapping[str, Any]) -> int | None:
    """Return the side of the boxes that a network was trained on; None if it was trained on whole images."""
    curriculum, crop = settings.get("curriculum", {}), settings.get("augmentation", {}).get("crop")
    if curriculum.get("stage") is None:
        return None
    side: int = crop[0] if crop else curriculum["box_size"]
    return side


def _is_kernel(values: tuple[float, ...]) -> bool:
    *reaches, weight = values
    return all(0.1 <= reach <= 1e4 for reach in reaches) and 0 <= weight <= 1e4
