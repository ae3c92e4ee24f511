"""Settings are named as the caller writes them."""

import pytest

from scratchnet.utils.options import for_caller, named_as_flags, option


@pytest.mark.parametrize(
    ("name", "value", "python", "flag"),
    [
        ("batch_size", None, "batch_size", "--batch-size"),
        ("batch_size", 8, "batch_size=8", "--batch-size 8"),
        ("crop", (64, 32), "crop=(64, 32)", "--crop 64 32"),
        ("loss", "dice", "loss='dice'", "--loss dice"),
        ("class_", None, "class_", "--class"),
    ],
)
def test_a_setting_is_named_as_its_caller_writes_it(name, value, python, flag):
    assert option(name, value) == python
    with named_as_flags():
        assert option(name, value) == flag
    assert option(name, value) == python


def test_the_naming_ends_with_its_block():
    with pytest.raises(KeyError), named_as_flags(), named_as_flags():
        raise KeyError
    assert for_caller("flag", "argument") == "argument"
    with named_as_flags():
        assert for_caller("flag", "argument") == "flag"
