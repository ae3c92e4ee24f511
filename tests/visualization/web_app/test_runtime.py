import pytest

from scratchnet.utils.errors import UserError
from scratchnet.visualization.web_app import COMMAND, find_runtime
from scratchnet.visualization.web_app.runtime import MAX_BYTES, SCRIPT, WASM
from tests.visualization.web_app.stand_in import write_runtime


def test_the_package_is_found_in_three_places(tmp_path, monkeypatch):
    package = write_runtime(tmp_path)
    for folder in (package, package / "dist", tmp_path):
        assert find_runtime(folder).version == "1.30.0"
    monkeypatch.chdir(tmp_path)
    assert find_runtime(None).wasm.startswith(b"\0asm")


def test_the_script_defines_ort_and_is_no_module(tmp_path):
    script = find_runtime(write_runtime(tmp_path)).script
    assert script.endswith('\nconst ort={"InferenceSession":a,"Tensor":b,"env":c};\n')
    assert "export" not in script
    assert "import.meta" not in script


@pytest.mark.parametrize("version", ["1.24.0", "1.30.9"])
def test_versions_that_were_tested(tmp_path, version):
    assert find_runtime(write_runtime(tmp_path, version)).version == version


@pytest.mark.parametrize("version", ["1.23.2", "1.31.0", "2.25.0"])
def test_other_versions(tmp_path, version):
    with pytest.raises(UserError, match=rf"is onnxruntime-web {version}, expected 1\.24 to 1\.30; run: npm install"):
        find_runtime(write_runtime(tmp_path, version))


def test_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"not below this folder; run: {COMMAND}, or name its folder with"):
        find_runtime(None)
    with pytest.raises(UserError, match=r"none: no such folder; run: npm install"):
        find_runtime(tmp_path / "none")
    with pytest.raises(UserError, match=f"has no {SCRIPT} and {WASM}"):
        find_runtime(tmp_path)


def test_files_that_are_something_else(tmp_path):
    package = write_runtime(tmp_path)
    (package / "dist" / WASM).write_bytes(b"<html>")
    with pytest.raises(UserError, match=f"{WASM}: is not WebAssembly"):
        find_runtime(package)
    with (package / "dist" / WASM).open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UserError, match="has more than 64 MiB"):
        find_runtime(package)
    (package / "dist" / SCRIPT).write_text("export{a as b}; more()")
    with pytest.raises(UserError, match="is not the script of onnxruntime-web"):
        find_runtime(package)
