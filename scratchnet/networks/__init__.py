"""Trained networks that come with the package, the *networks in the box*, and their model cards.

Each is a checkpoint without the optimiser's state, and a card of the same name in Markdown, whose first paragraph is a
sentence about the training images. Wherever a checkpoint is expected, the bare name stands for the network in the box;
a file of the same name is ``./NAME``.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def network_names() -> list[str]:
    """Return the names of the networks in the box."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def find_checkpoint(word: Path | str) -> Path:
    """Return the path of a checkpoint.

    Parameters
    ----------
    word : Path or str
        The name of a network in the box as a string, else the path of a file. A Path is always a file.

    Examples
    --------
    >>> find_checkpoint("nuclei").parent.name, str(find_checkpoint("./nuclei"))
    ('networks', 'nuclei')
    """
    return FOLDER / f"{word}.npz" if is_in_the_box(word) else Path(word)


def is_in_the_box(word: Path | str) -> bool:
    """Return whether ``word`` is the name of a network in the box."""
    return isinstance(word, str) and word in network_names()


def network_card(name: str) -> str:
    """Return the model card of a network in the box: its training data, figures and limits, in Markdown."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def network_origin(name: str) -> str:
    """Return the sentence of a model card that states what the network was trained on, in one line."""
    return " ".join(network_card(name).split("\n\n")[1].split())
