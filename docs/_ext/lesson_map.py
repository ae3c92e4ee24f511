"""Titles, times and prerequisites of the lessons; ``python docs/_ext/lesson_map.py`` draws them."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from scratchnet.visualization import ROLES, panels

PICTURE = Path(__file__).parents[1] / "images" / "lesson-map.png"
WIDTH, HEIGHT = 0.74, 0.66  # of a box, in columns and rows


@dataclass(frozen=True)
class Lesson:
    """A lesson's short title, reading time in minutes, direct prerequisites, and (column, row) in the picture."""

    title: str
    minutes: int
    needs: tuple[int, ...]
    place: tuple[float, float]


LESSONS = {
    1: Lesson("pixels as labels", 40, (), (0, 3)),
    2: Lesson("numerical gradients", 70, (), (0, 2)),
    3: Lesson("convolution by loops", 50, (), (0, 0)),
    4: Lesson("im2col", 40, (3,), (1.5, 0)),
    5: Lesson("its three gradients", 45, (2, 4), (2, 2)),
    6: Lesson("losses over pixels", 55, (1, 2), (1, 3)),
    7: Lesson("max-pool and switches", 35, (2, 3), (1, 1)),
    8: Lesson("four ways to upsample", 50, (3, 5, 7), (3, 1)),
    9: Lesson("transposed convolution", 45, (3, 5, 8), (4, 1)),
    10: Lesson("overlap, checkerboards", 40, (9,), (5, 0)),
    11: Lesson("batch norm", 65, (1, 2, 5, 6), (3, 3)),
    12: Lesson("assembling a network", 50, (2, 6, 7, 9, 11), (5, 2)),
    13: Lesson("sliding window to FCN", 50, (9, 10, 12), (6, 1)),
    14: Lesson("SegNet and U-Net", 50, (7, 8, 12, 13), (7, 1)),
    15: Lesson("DeconvNet", 40, (7, 9, 12), (6, 2)),
    16: Lesson("two stages", 65, (13, 14, 15), (8, 2)),
    17: Lesson("proposals", 55, (14, 16), (9, 2)),
    18: Lesson("your own images", 80, (6, 11, 12, 14), (8, 1)),
    19: Lesson("the other deconvnet", 55, (7, 9, 12, 15), (8.15, 3)),
    20: Lesson("how sure is it?", 60, (1, 6, 11, 12, 14), (8, 0)),
    21: Lesson("making it fast", 55, (3, 4, 12), (6, 3)),
    22: Lesson("the same on a GPU", 70, (4, 7, 21), (7, 3)),
}


def ancestors(number: int) -> set[int]:
    """Return all lessons that a lesson needs, directly or through others."""
    return set().union(*({needed} | ancestors(needed) for needed in LESSONS[number].needs))


def arrows() -> list[tuple[int, int]]:
    """Return the pairs (earlier, later) to draw: prerequisites that are not implied by another one."""
    return [
        (needed, number)
        for number, lesson in LESSONS.items()
        for needed in lesson.needs
        if not any(needed in ancestors(other) for other in lesson.needs)
    ]


def description() -> str:
    """Return the drawn data as text; it is stored in the picture, so that a test can compare the two."""
    return "; ".join(f"{number} {lesson}" for number, lesson in LESSONS.items())


def draw_lesson(axes: Axes, number: int, lesson: Lesson) -> FancyBboxPatch:
    """Draw a lesson as a box with its number, title and time; return the box."""
    column, row = lesson.place
    corner = (column - WIDTH / 2, row - HEIGHT / 2)
    style = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": "white", "edgecolor": ROLES["output"]}
    box = axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, linewidth=1.4, zorder=3, **style))
    title = "\n".join(textwrap.wrap(lesson.title, 13))
    text = f"$\\bf{{{number}}}$\n{title}\n{lesson.minutes} min"
    axes.text(column, row, text, ha="center", va="center", fontsize=9, zorder=4)
    return box


def draw(path: Path = PICTURE) -> None:
    """Draw which lesson needs which, from left to right."""
    figure, (axes,) = panels(14.4, 5.4)
    axes.set_axis_off()
    axes.set_xlim(-0.5, 9.5)
    axes.set_ylim(-0.5, 3.5)
    boxes = {number: draw_lesson(axes, number, lesson) for number, lesson in LESSONS.items()}
    for earlier, later in arrows():
        ends = {"posA": LESSONS[earlier].place, "posB": LESSONS[later].place}
        between = {"patchA": boxes[earlier], "patchB": boxes[later], "shrinkA": 2, "shrinkB": 2}
        look = {"arrowstyle": "-|>", "mutation_scale": 13, "color": "0.55", "linewidth": 1.3}
        axes.add_patch(FancyArrowPatch(**ends, **between, **look))
    figure.savefig(path, dpi=110, metadata={"Description": description()})


if __name__ == "__main__":
    draw()
