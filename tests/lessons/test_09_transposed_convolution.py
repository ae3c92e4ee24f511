"""Lesson 9: the figures of its text are those of its code."""


def test_gradients_and_identity_agree(lesson):
    values = lesson(9).values
    assert values["worst"] < 1e-6
    assert values["difference"] < 1e-9


def test_the_text_names_the_size_of_the_matrix(lesson):
    nine = lesson(9)
    nine.says("It is {} × {} and {:.0f} % zeros", *nine.values["W"].shape, 100 * nine.values["empty"])
    entries = 98 * 98 * 100 * 100
    nine.says("it would have {:.0f} million entries", entries / 1e6)
    assert 0.0008 < 98 * 98 * 9 / entries < 0.0012  # one in a thousand is not zero


def test_the_text_names_the_numbers_that_do_not_come_back(lesson):
    nine = lesson(9)
    back = nine.values["blur"].T @ nine.values["two"]
    nine.says("The numbers 1 to 5 become {:.0f}, {:.0f}, {:.0f}, {:.0f}, {:.0f}.", *back)


def test_the_letters_are_those_of_the_product(lesson):
    nine = lesson(9)
    assert nine.values["turned"] == ["ax", "ay", "az+bx", "by", "bz"]
    nine.says("({})", ", ".join(nine.values["turned"][1:]))


def test_the_sizes_were_all_tried(lesson):
    assert lesson(9).values["checked"] > 500
