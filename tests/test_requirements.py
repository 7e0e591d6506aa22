"""A missing component is a skip with advice for people, and a failure for CI."""

from unittest import SkipTest

import pytest

from tests import requirements
from tests.requirements import COMPONENTS, Component, require


@pytest.fixture(autouse=True)
def _components(monkeypatch):
    monkeypatch.setitem(COMPONENTS, "air", Component(lambda: True, "breathe"))
    monkeypatch.setitem(COMPONENTS, "moon", Component(lambda: False, "apt-get install moon"))
    monkeypatch.setitem(COMPONENTS, "mars", Component(lambda: False, "apt-get install mars"))
    monkeypatch.delenv("LAIRCHAT_CI", raising=False)
    requirements._present.cache_clear()
    yield
    requirements._present.cache_clear()


def test_what_is_there_lets_the_test_run():
    assert require("air") is None


def test_what_is_missing_skips_with_the_command_that_installs_it():
    with pytest.raises(SkipTest, match=r"^moon is missing: apt-get install moon$"):
        require("air", "moon")


def test_all_that_is_missing_is_said_at_once():
    with pytest.raises(SkipTest, match=r"moon is missing: .*; mars is missing: "):
        require("moon", "mars")


def test_ci_fails_instead_of_skipping(monkeypatch):
    monkeypatch.setenv("LAIRCHAT_CI", "1")
    with pytest.raises(AssertionError, match="apt-get install moon"):
        require("moon")


def test_an_unknown_name_is_a_mistake_in_the_test():
    with pytest.raises(KeyError):
        require("tmuks")


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_looking_for_a_component_never_raises(name):
    assert COMPONENTS[name].present() in {True, False}


def test_the_machine_that_says_a_program_is_there_can_run_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not COMPONENTS["tmux"].present()
    assert not COMPONENTS["networks"].present()
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert COMPONENTS["tmux"].present()
