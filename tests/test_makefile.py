"""What a person sees while `make` installs: what it is at, and the error if there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

NINJA = """\
Collecting click==8.5.1 (from -r requirements.lock (line 12))
  Downloading click-8.5.1-py3-none-any.whl (126 kB)
Building wheels for collected packages: llama_cpp_python
  *** Building project with Ninja...
  [1/3] /usr/bin/gcc -DGGML_EXPORTS -Werror=format -o ggml.dir/ggml.c.o -c /tmp/build/vendor/ggml/ggml.c
  [2/3] /usr/bin/g++ -DGGML_EXPORTS -o ggml.dir/ggml.cpp.o -c /tmp/build/vendor/ggml/ggml.cpp
"""
ERROR = """\
  /tmp/build/vendor/ggml/ggml.cpp:1:19: error: 'nothing' was not declared in this scope
  *** CMake build failed
ERROR: Could not build wheels for llama_cpp_python
"""
MAKE = """\
  [ 33%] Building C object ggml/CMakeFiles/ggml.dir/ggml.c.o
  /usr/bin/cc -DGGML_EXPORTS -o CMakeFiles/ggml.dir/ggml.c.o -c /tmp/build/vendor/ggml/ggml.c
Installing collected packages: click, llama_cpp_python
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(venv: Path, said: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Install with a Python whose pip says that and ends with that exit code."""
    (venv / "bin").mkdir(parents=True)
    (venv / "said").write_text(said)
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *requirements.lock) cat {venv}/said; exit {code};; esac\n')
    python.chmod(0o755)
    command = ["make", "--no-print-directory", f"VENV={venv}", f"{venv}/.installed"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_packages_and_each_compiled_file_have_a_line(tmp_path: Path) -> None:
    done = make(tmp_path / "venv", NINJA + MAKE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any("packages: about a minute" in line for line in lines)
    assert any("llama.cpp" in line and "about four minutes" in line for line in lines)
    shown = lines[lines.index("Collecting click==8.5.1") :]
    assert shown[:6] == [
        "Collecting click==8.5.1",
        "  *** Building project with Ninja...",
        "  [1/3] ggml.c",
        "  [2/3] ggml.cpp",
        "  [ 33%] ggml.c.o",
        "Installing",
    ]
    assert (tmp_path / "venv" / ".installed").exists()


def test_an_error_of_the_compiler_ends_it_and_is_shown(tmp_path: Path) -> None:
    done = make(tmp_path / "venv", NINJA + ERROR, code=1)
    assert done.returncode != 0
    assert "error: 'nothing' was not declared in this scope" in done.stdout
    assert "install.log" in done.stdout
    assert not (tmp_path / "venv" / ".installed").exists()


def test_the_demo_says_how_long_it_takes() -> None:
    told = subprocess.run(["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True)
    assert "The demo: about half a minute" in told.stdout
