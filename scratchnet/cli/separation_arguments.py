"""Arguments about the separation of objects, shared by the commands that count them."""

from dataclasses import dataclass

from scratchnet.cli.flags import flag_name
from scratchnet.measurement import Separation
from scratchnet.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SeparationArguments:
    """Arguments about objects in masks."""

    neck: float | None = None
    """Split objects where they are narrower than this fraction of the narrower of the two parts. Default: 0.85."""
    smoothing: float | None = None
    """Standard deviation, in pixels, of the smoothing of the distance transform that finds the parts. Default: 1."""
    min_area: int = Separation().min_area
    """Leave out objects with fewer pixels."""
    exclude_border: bool = False
    """Leave out objects that touch the image's border."""

    def separation(self, split: bool) -> Separation:
        """Return how objects are separated; ``split`` says whether touching ones are."""
        chosen = {name: value for name in ("neck", "smoothing") if (value := getattr(self, name)) is not None}
        return Separation(split=split, min_area=self.min_area, exclude_border=self.exclude_border, **chosen)

    def check_separation(self, split: bool, flag: str) -> None:
        """Raise a UserError for values out of range, or that have no effect because of (or without) a flag."""
        for name in ("neck", "smoothing"):
            if getattr(self, name) is not None and not split:
                raise UserError(f"{flag_name(name)}: has no effect {flag}")
        for name, good, expected in (
            ("neck", self.neck is None or 0 < self.neck < 1, "a number between 0 and 1, for example 0.85"),
            ("smoothing", self.smoothing is None or 0 <= self.smoothing <= 100, "0 to 100 pixels"),
            ("min_area", 1 <= self.min_area <= 1_000_000_000, "1 to 1,000,000,000 pixels"),
        ):
            if not good:
                raise UserError(f"{flag_name(name)} {getattr(self, name)}: expected {expected}")
