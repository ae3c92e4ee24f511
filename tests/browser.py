"""A page in headless Chromium, where there is one."""

import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def dump(path, tmp_path, fragment=""):
    """Open a file as a browser does, let its script run, and return the page as it then is."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs Chromium")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000", "--virtual-time-budget=20000"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    address = f"{path.as_uri()}{fragment}"
    done = subprocess.run(
        [program, *words, profile, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout
