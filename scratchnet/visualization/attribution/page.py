"""A page with four answers to the question why a pixel got its class."""

from collections.abc import Sequence
from html import escape

from scratchnet.ops.geometry import Pair
from scratchnet.visualization.attribution.descriptions import DESCRIPTIONS
from scratchnet.visualization.attribution.explanation import ANSWERS, Explanation
from scratchnet.visualization.attribution.signed_colours import NEGATIVE, POSITIVE, limit_of, signed_picture
from scratchnet.visualization.attribution.words import facts, how_computed, question
from scratchnet.visualization.html import asset, hex_colour, page, picture
from scratchnet.visualization.overlays import overlay
from scratchnet.visualization.style import ROLES


def why_page(
    title: str,
    notes: Sequence[str],
    explanation: Explanation,
    class_names: Sequence[str],
    corner: Pair = (0, 0),
    kind: str = "why page",
) -> str:
    """Return the page as HTML; it needs no script and loads nothing else.

    Parameters
    ----------
    title : str
    notes : sequence of str
        Sentences about the parts of the image that the page omits.
    explanation : Explanation
    class_names : sequence of str
    corner : (row, column)
        Position of the explanation's photo in the image.
    kind : str
        Kind of file.
    """
    name = class_names[explanation.wanted]
    body = "\n".join(
        [
            f"<header><h1>{escape(title)}</h1>",
            f'<p class="verdict">{escape(question(explanation, class_names))}</p>',
            f"<p>{escape(facts(explanation, class_names, corner))}</p>",
            *(f'<p class="note">{escape(note)}</p>' for note in notes),
            "</header>",
            _pictures(explanation, name),
            f"<h2>Four answers</h2>{_legend()}",
            '<div class="answers">',
            *(_answer(explanation, method, name) for method in ANSWERS),
            "</div>",
            f'<p class="note">{escape(how_computed(explanation))}</p>',
        ]
    )
    ring = f":root {{ --pixel:{ROLES['pixel']}; --positive:{hex_colour(POSITIVE)}; --negative:{hex_colour(NEGATIVE)} }}"
    return page(title, body, kind=kind, style=f"{ring}\n{asset('attribution/assets/why.css')}")


def _pictures(explanation: Explanation, name: str) -> str:
    """Return the photograph and the prediction, both with the pixel marked."""
    photo, mask = explanation.photo, explanation.mask
    parts = [
        _figure(explanation, picture(photo, "The image", photograph=True), "the image; the ring marks the pixel"),
        _figure(
            explanation,
            picture(overlay(photo[: mask.shape[0], : mask.shape[1]], mask), f"The predicted classes, such as {name}"),
            "the prediction for every pixel",
        ),
    ]
    return f'<div class="sources">{"".join(parts)}</div>'


def _answer(explanation: Explanation, method: str, name: str) -> str:
    """Return the map of one method with its two sentences."""
    described, values = DESCRIPTIONS[method], explanation.maps[method]
    limit = limit_of(values)
    text = f"{described.name} of the score of {name}: values from {-limit:.2g} to {limit:.2g} over the image"
    caption = (
        f"<h3>{escape(described.name)}</h3><p>{escape(described.source)}; scale ±{limit:.2g}</p>"
        f"<p><b>Shows</b> {escape(described.shows)}</p><p><b>Does not show</b> {escape(described.hides)}</p>"
    )
    return _figure(explanation, picture(signed_picture(values, explanation.photo, limit), text), caption, markup=True)


def _figure(explanation: Explanation, image: str, caption: str, markup: bool = False) -> str:
    """Return a picture with a ring around the pixel, and a caption."""
    h, w = explanation.photo.shape[:2]
    y, x = (100 * (at + 0.5) / length for at, length in zip(explanation.pixel, (h, w), strict=True))
    ring = f'<i class="ring" style="left:{x:.2f}%;top:{y:.2f}%"></i>'
    text = caption if markup else escape(caption)
    return f'<figure><div class="marked">{image}{ring}</div><figcaption>{text}</figcaption></figure>'


def _legend() -> str:
    """Return the colour scale."""
    return (
        '<p class="scale"><span>negative</span><i role="img" aria-label="Purple is negative, white 0, orange positive">'
        "</i><span>positive</span></p>"
    )
