"""The wheel holds what it should and nothing else, and twistd finds the daemon once it is installed."""

import email
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import lairchat
from tests import lint

TOP = Path(__file__).resolve().parent.parent
checkout = pytest.mark.checkout


def run(*command: str | Path, **options) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """Copy the tracked files: a build leaves traces beside them, and believes those of earlier ones."""
    copy = tmp_path_factory.mktemp("sources")
    for name in lint.tracked(TOP):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((TOP / name).read_bytes())
    return copy


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-P", "-m", "build", "--no-isolation", "--wheel", "--outdir", out)
    run(*command, sources)
    (built,) = out.glob("*.whl")
    return built


@checkout
def test_the_wheel_holds_every_tracked_module_and_file_of_data_and_nothing_else(wheel, sources):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = {
        str(path.relative_to(sources))
        for path in (sources / "lairchat").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == tracked | {"twisted/plugins/lairchat_plugin.py"}


@checkout
def test_the_metadata_says_what_setup_py_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        stated = email.message_from_bytes(archive.read(name))
    assert stated["Name"] == "lairchat"
    assert stated["Version"] == lairchat.__version__
    assert stated["License-Expression"] == "MIT"
    assert stated["Requires-Python"] == ">=3.11"
    assert stated["Description-Content-Type"] == "text/x-rst"
    required = [line for line in stated.get_all("Requires-Dist") if "extra ==" not in line]
    assert "alchimia==0.8.1" in required
    assert set(stated.get_all("Provides-Extra")) == {
        "test", "lint", "types", "docs", "release", "dev",
    }  # fmt: skip


@checkout
def test_installed_from_the_wheel_twistd_lists_the_daemon_and_twisted_is_whole(wheel, tmp_path):
    scratch = tmp_path / "scratch"
    run(sys.executable, "-m", "venv", "--without-pip", scratch)
    pip = (sys.executable, "-m", "pip", "--python", scratch / "bin/python", "--no-input")
    run(*pip, "install", "--no-deps", "--no-index", wheel)
    # Its requirements are lent from here, behind what is its own; the checkout is not among them.
    (own,) = (scratch / "lib").glob("python3.*/site-packages")
    lent = [path for path in sys.path if path.endswith("site-packages") and path != str(TOP)]
    (own / "lent.pth").write_text("\n".join(lent) + "\n")
    (own / "lairchat-checkout.pth").unlink(missing_ok=True)
    ask = "import lairchat, twisted; print(lairchat.__file__); print(twisted.__file__)"
    where = run(scratch / "bin/python", "-P", "-c", ask, cwd="/").splitlines()
    assert where[0] == str(own / "lairchat/__init__.py")
    assert where[1].endswith("/twisted/__init__.py")
    assert not where[1].startswith(str(own))
    listed = run(scratch / "bin/python", "-P", "-m", "twisted", "--help", cwd="/")
    assert re.search(r"^ +lairchat +A self-hosted chat", listed, re.MULTILINE)
    assert not list((own / "twisted").rglob("__init__.py"))


@checkout
def test_no_twisted_package_of_ours_shadows_the_real_one():
    assert sorted(name for name in lint.tracked(TOP) if name.startswith("twisted/")) == [
        "twisted/plugins/lairchat_plugin.py"
    ]


@checkout
def test_an_editable_install_is_found_by_twistd_too(sources):
    """setuptools' default finder would hide the plugin; setup.py asks for a plain path instead."""
    assert 'options={"editable_wheel": {"mode": "compat"}}' in (sources / "setup.py").read_text()


@checkout
def test_a_source_archive_can_build_the_same_wheel(sources, wheel, tmp_path):
    build = (sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", tmp_path)
    run(*build, sources)  # the archive from the sources, then the wheel from the archive
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


@pytest.mark.skipif(
    not os.environ.get("LAIR_TEST_INSTALLED"), reason="only tox installs it: tox run -e py311"
)
def test_under_tox_it_is_the_wheel_that_is_tested_and_it_is_not_stale():
    here = Path(lairchat.__file__).parent
    assert "site-packages" in here.parts
    assert metadata.version("lairchat") == lairchat.__version__

    def modules(place: Path) -> set[str]:
        return {str(path.relative_to(place)) for path in place.rglob("*.py")}

    assert modules(here) == modules(TOP / "lairchat")
