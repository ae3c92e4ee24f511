"""Lesson 11: the figures of its text are those of its code."""


def test_the_gradients_agree(lesson):
    values = lesson(11).values
    assert values["worst"] < 1e-7
    assert values["wrong"] > 0.05


def test_the_text_names_the_normalised_numbers(lesson):
    eleven = lesson(11)
    numbers = [f"{value:.2f}".replace("-", "−") for value in eleven.values["results"][0]]
    eleven.says("the result is {}, {}, {}, {},", *numbers)
    eleven.says("that is {:.1f} against {:.1f}", 4.899, 0.2041)


def test_an_images_own_statistics_solve_the_squares(lesson):
    assert lesson(11).values["rule"] > 0.99


def test_the_text_names_the_failure(lesson):
    eleven = lesson(11)
    scores = eleven.values["as_they_are"]
    eleven.says(
        "as in training, the IoU is {:.2f}. With running averages it is {:.2f}",
        *(scores[name] for name in ("each image's own", "running averages")),
    )
    eleven.says("Here that gives {:.2f}.", scores["recomputed"])
    assert scores["recomputed"] < 0.5 < scores["each image's own"]


def test_batches_of_four_learn_nothing_from_raw_colours(lesson):
    eleven = lesson(11)
    assert max(eleven.values["in_fours"].values()) < 0.005
    eleven.says("Indeed, the IoU is {:.2f} with every kind of statistics", 0)


def test_the_text_names_the_fix(lesson):
    eleven = lesson(11)
    scores = eleven.values["fixed"]
    eleven.says(
        "running averages give {:.2f}, recomputed ones {:.2f} and each image's own {:.2f}",
        *(scores[name] for name in ("running averages", "recomputed", "each image's own")),
    )
    eleven.says(
        "= {:.0f} % of their arbitrary start after 40 updates, and give {:.2f}",
        100 * 0.99**40,
        scores["slow running averages"],
    )
    assert scores["recomputed"] > scores["slow running averages"] + 0.2


def test_the_text_names_the_epochs(lesson):
    one, four = lesson(11).values["epochs"]
    lesson(11).says("80 updates are {:.1f} epochs; with four, 40 updates are {:.1f}.", one, four)
    lesson(11).says("We have {}:", len(lesson(11).values["images"]))
