"""The list of terms: a lesson that explains a term emphasises it, and an earlier one that uses it says where it is."""

import re
from pathlib import Path

from tests.lessons.conftest import FOLDER, prose_of

PAGE = (Path(__file__).parents[2] / "docs" / "terms.md").read_text(encoding="utf-8")
PROSE = {int(path.name[:2]): prose_of(path) for path in sorted(FOLDER.glob("[0-9]*.py"))}
STANDARD_WORDS = [
    "activation function",
    "backpropagation",
    "baseline",
    "batch size",
    "chain rule",
    "data augmentation",
    "epoch",
    "feature map",
    "fine-tuning",
    "generalisation",
    "ground truth",
    "hyperparameter",
    "inference",
    "learning rate schedule",
    "logit",
    "mini-batch",
    "one-hot",
    "optimiser",
    "overfitting",
    "precision",
    "pretraining",
    "recall",
    "receptive field",
    "regularisation",
    "stochastic gradient descent",
    "tensor",
    "test set",
    "training set",
    "validation set",
    "vanishing gradient",
    "weight decay",
]
PLAIN_WORDS = {("nearest", 1): "the label of the nearest pixel"}  # (term, earlier lesson): where it is no term


def terms():
    """Return (lesson, term) for every bold term of the page, in its order."""
    found, number = [], 0
    for line in PAGE.splitlines():
        if heading := re.match(r"## \[(\d+)\. [^\]]+\]\(lessons/((\d\d)_\w+)\)$", line):
            number = int(heading[1])
            assert number == int(heading[3])
            assert (FOLDER / f"{heading[2]}.py").is_file()
        elif line.startswith("- "):
            found += [(number, term) for term in re.findall(r"\*\*(.+?)\*\*", line)]
    return found


def places(term, prose):
    """Return where a term stands in a text as a word of its own, in any case, also in the plural."""
    return [found.start() for found in re.finditer(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", prose, re.IGNORECASE)]


def test_every_lesson_has_terms_in_order_and_no_term_comes_twice():
    numbers, names = zip(*terms(), strict=True)
    assert list(numbers) == sorted(numbers)
    assert set(numbers) == set(PROSE)
    assert len({name.lower() for name in names}) == len(names)


def test_a_term_is_emphasised_in_the_lesson_that_explains_it():
    missing = [(number, term) for number, term in terms() if f"*{term.lower()}" not in PROSE[number].lower()]
    assert not missing


def test_no_lesson_uses_a_term_before_it_is_explained():
    early = []
    for number, term in terms():
        for lesson in (lesson for lesson in PROSE if lesson < number):
            for place in places(term, PROSE[lesson]):
                near = PROSE[lesson][max(0, place - 60) : place + 90]
                if PLAIN_WORDS.get((term, lesson), "lesson ") not in near:
                    early.append((term, lesson, near))
    assert not early


def test_the_fields_standard_words_are_explained():
    names = {name for _, name in terms()}
    assert [word for word in STANDARD_WORDS if word not in names] == []
