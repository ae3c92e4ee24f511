"""``scratchnet data suggest``: rank images by what labelling them would teach a network."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from scratchnet.arrays import Array
from scratchnet.cli.checkpoints import say_origin
from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.image_arguments import find_images
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.cli.segment import check_images
from scratchnet.cli.uncertainty import check_uncertainty, sampled_predictor
from scratchnet.data import Layout, read_image
from scratchnet.data.layouts import find_samples
from scratchnet.inference.suggestions import colour_histogram, suggest
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.contents import Checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import signature
from scratchnet.utils.spreadsheet import harmless

KIND = "list of images to label"


@dataclass(frozen=True)
class SuggestArguments(PredictionArguments, OutputArguments):
    """Rank images without masks by what labelling them would teach the network.

    An image is predicted several times at random, with dropout, or flipped, scaled and shifted if the network has none.
    Its score is the mutual information of a pixel, the part of the entropy that is due to disagreement of the
    predictions. An image whose colours resemble those of one ranked before is moved down, so that the list holds no
    near-duplicates.
    """

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    images: Annotated[tuple[str, ...], Positional("IMAGE…")]
    """Image files, or folders of images."""
    count: int = 10
    """Number of images to suggest."""
    uncertainty: Annotated[int, Metavar("N")] = 10
    """Number of predictions of each image."""
    data: Annotated[str | None, Metavar("DIR")] = None
    """Data set whose images have masks already: images with their names are left out."""
    layout: Layout | None = None
    """Layout of that data set. Default: as in training."""
    out: Annotated[str | None, Metavar("FILE.csv")] = None
    """Write the list as a CSV table, too."""


class Row(NamedTuple):
    """An image and its measures, in nats per pixel."""

    path: Path
    information: float
    entropy: float
    histogram: Array


def run(words: Sequence[str]) -> int:
    """Run the command."""
    example = "scratchnet data suggest run/checkpoint.npz unlabelled/ --data mydata --count 20 --out next.csv"
    arguments = parse(SuggestArguments, words, "data suggest", example)
    check_uncertainty(arguments, arguments.uncertainty)
    if not 1 <= arguments.count <= 1_000_000:
        raise UserError(f"--count {arguments.count}: expected 1 to 1000000")
    if arguments.layout is not None and arguments.data is None:
        raise UserError("--layout: has no effect without --data")
    if arguments.out is not None:
        check_writable(Path(arguments.out), KIND)
    with arguments.computing(), arguments.output():
        return _suggest(arguments)


def _suggest(arguments: SuggestArguments) -> int:
    checkpoint = load_checkpoint(arguments.checkpoint)
    predictor = sampled_predictor(arguments, checkpoint, arguments.uncertainty)
    paths = _unlabelled(arguments, checkpoint)
    value_range = checkpoint.spec.preprocessing.range
    check_images(paths, predictor, checkpoint, arguments.bn_statistics)
    say_origin(arguments.checkpoint)
    rows = []
    for path in progress(paths, "predicting"):
        image = read_image(path, value_range)
        maps = predictor.maps(image, path.stem)
        measures = float(maps.mutual_information.mean()), float(maps.entropy.mean())
        rows.append(Row(path, *measures, colour_histogram(image)))
    found = suggest([row.information for row in rows], [row.histogram for row in rows], arguments.count)
    listed = [(rows[suggestion.place], suggestion.similarity) for suggestion in found]
    say(f"{len(rows)} images, {predictor.sampling.words(predictor.samples)}\n")
    say("rank  mutual information  entropy  similarity  image")
    for rank, (row, similarity) in enumerate(listed, 1):
        say(f"{rank:4}  {row.information:18.3g}  {row.entropy:7.4f}  {similarity:10.2f}  {row.path}")
    say("\nmean per pixel, in nats; similarity of the colours to the most similar image listed before")
    if arguments.out is not None:
        _write(Path(arguments.out), listed)
        say(f"wrote {arguments.out}")
    arguments.print_json({"images": len(rows), "suggestions": _records(listed)})
    return 0


def _unlabelled(arguments: SuggestArguments, checkpoint: Checkpoint) -> list[Path]:
    """Return the images that have no mask in the data set."""
    paths = find_images(arguments.images)
    if arguments.data is None:
        return paths
    trained = checkpoint.spec.settings.get("data", {}).get("layout", "folder")
    samples, _ = find_samples(Path(arguments.data), arguments.layout or trained, None)
    labelled = {sample.image.stem.casefold() for sample in samples}
    found = [path for path in paths if path.stem.casefold() not in labelled]
    if len(found) < len(paths):
        say(f"{arguments.data}: has masks of {len(paths) - len(found)} of the {len(paths)} images, which are left out")
    if not found:
        raise UserError(f"{arguments.data}: has masks of all {len(paths)} images; name folders with others")
    return found


def _records(listed: Sequence[tuple[Row, float]]) -> list[dict[str, str | int | float]]:
    """Return the rows of the table by the names of its columns."""
    return [
        {
            "rank": rank,
            "image": str(row.path),
            "mutual_information": row.information,
            "entropy": row.entropy,
            "similarity": similarity,
        }
        for rank, (row, similarity) in enumerate(listed, 1)
    ]


def _write(path: Path, listed: Sequence[tuple[Row, float]]) -> None:
    """Write the CSV table."""
    text, records = io.StringIO(), _records(listed)
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*records[0], signature(KIND)])
    for record in records:
        table.writerow([harmless(v) if isinstance(v, str) else v for v in record.values()] + [""])
    with atomic_write(path, KIND) as file:
        file.write(text.getvalue().encode("utf-8"))
