"""The rules of the repository are proved on files that break them."""

import subprocess

import pytest

from tests import lint
from tests.requirements import require

HOME = "/home/" + "alice/"  # in two parts, or this file would break the rule itself


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"open('{HOME}notes')", f"names somebody's home: {HOME}"),
        ("cd /" + "root/x", "names somebody's home"),
        ("see /srv/clones/chat/docs", "names a place on this machine: /srv/clones/chat"),
        ("see /srv/clones/chat", "names a place on this machine: /srv/clones/chat"),
        ("na\u00efve", "not ASCII: '\\xef'"),
    ],
)
def test_what_breaks_a_rule_is_named_with_its_line(content, complaint):
    found = list(lint.complaints("a.py", f"\n{content}\n".encode(), ["/srv/clones/chat"]))
    assert len(found) == 1
    assert found[0].startswith("a.py:2: ")
    assert complaint in found[0]


@pytest.mark.parametrize(
    "content",
    ["/usr/bin/python3", "~/.local/share/lairchat", "/srv/clones/chatter", "https://a/home/x"],
)
def test_what_every_machine_has_gives_nothing_away(content):
    assert list(lint.complaints("a.py", content.encode(), ["/srv/clones/chat"])) == []


def test_collections_of_foreign_strings_and_binary_files_are_left_alone():
    assert list(lint.complaints("tests/vectors/blns.json", b"\xff /" + b"root/", [])) == []
    assert list(lint.complaints("docs/picture.png", b"\0\xff", [])) == []


@pytest.mark.parametrize("name", ["2.feature.rst", "2.bugfix.1.rst", "+spine.misc.rst"])
def test_a_news_fragment_names_issue_and_kind(name):
    assert list(lint.complaints(f"newsfragments/{name}", b"", [])) == []


@pytest.mark.parametrize(
    "name", ["2.rst", "feature.rst", "2.feature", "2.feautre.rst", "x.misc.rst"]
)
def test_a_news_fragment_that_towncrier_would_pass_over_is_named(name):
    (found,) = lint.complaints(f"newsfragments/{name}", b"", [])
    assert "not a news fragment" in found


def test_common_directories_are_no_secret(tmp_path):
    assert "/" not in lint.places(tmp_path)
    assert str(tmp_path) in lint.places(tmp_path)


def test_tracked_files_are_checked_and_others_are_not(tmp_path, capsys):
    require("git")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "good.py").write_text("x = 1\n")
    subprocess.run(["git", "-C", tmp_path, "add", "good.py"], check=True)
    (tmp_path / "bad.py").write_text(f"x = '{HOME}'\n")
    assert lint.main(tmp_path) == 0
    subprocess.run(["git", "-C", tmp_path, "add", "bad.py"], check=True)
    assert lint.main(tmp_path) == 1
    assert capsys.readouterr().out == f"bad.py:1: names somebody's home: {HOME}\n"
