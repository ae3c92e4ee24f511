from scratchnet.gradcheck import all_cases
from scratchnet.layers import activation


def test_only_the_cases_that_are_named(call):
    code, said, err = call("gradcheck", "op/max_pool2d", "LAYER/relu")
    assert (code, err) == (0, "")
    wanted = [case.name for case in all_cases() if case.name.startswith(("op/max_pool2d", "layer/ReLU"))]
    lines = said.splitlines()
    assert len(wanted) >= 3
    assert [line.startswith(f"ok   {name} ") for line, name in zip(lines[1:], wanted, strict=False)] == [True] * len(
        wanted
    )
    assert lines[-1].startswith(f"{len(wanted)} of {len(wanted)} gradients agree")


def test_a_wrong_gradient_is_told_and_the_exit_code_is_1(call, monkeypatch):
    monkeypatch.setattr(activation, "relu_backward", lambda dy, y: dy)
    code, said, _ = call("gradcheck", "layer/ReLU")
    assert code == 1
    assert "BAD  layer/ReLU" in said
    assert "analytic" in said
    assert "0 of 1 gradients agree" in said


def test_a_name_that_is_none(call):
    code, said, err = call("gradcheck", "transformer")
    assert (code, said) == (2, "")
    assert err.startswith("scratchnet: error: no case name contains 'transformer'; names are ")
    assert err.count("\n") == 1
