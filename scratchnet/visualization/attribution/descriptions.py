"""Sentences about the four methods: the name, the source, what a map shows, and what it does not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Description:
    """The name of a method, its source, what its map shows and what it does not."""

    name: str
    source: str
    shows: str
    hides: str


DESCRIPTIONS = {
    "deconvnet": Description(
        "Deconvnet projection",
        "Zeiler & Fergus 2014",
        "the pattern that the network's own transposed kernels and switches build when the score runs backwards and "
        "negative signals are dropped at every ReLU; orange parts are bright in it, purple parts dark.",
        "how much the score depends on it. The pattern follows edges and switches, and can look much the same for "
        "other classes or for random weights.",
    ),
    "guided": Description(
        "Guided backpropagation",
        "Springenberg et al. 2015",
        "paths along which both the values and the signal are positive at every ReLU; of the three projections it is "
        "usually the clearest picture.",
        "evidence against the class, whose signals are dropped, nor whether the network has learned anything: sharp "
        "edges appear with random weights as well (Adebayo et al. 2018).",
    ),
    "gradient": Description(
        "Gradient",
        "Simonyan et al. 2014",
        "the derivative of the score with respect to each pixel: orange where a slightly brighter pixel would raise "
        "the score.",
        "what a large change would do, nor what the switches contribute: they do not move under a small change.",
    ),
    "occlusion": Description(
        "Occlusion",
        "Zeiler & Fergus 2014",
        "how far the score falls (orange) or rises (purple) if a patch of the image's mean colour covers the place.",
        "details smaller than the patch, and evidence that exists in two places, since each of them can replace the "
        "other. The patch itself may also look like something.",
    ),
}
