"""Where the files of a server are looked for."""

import os
import pwd
from pathlib import Path

import pytest

from lairchat.layout import home_directory


def test_home_is_what_the_environment_or_the_password_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_directory() == tmp_path
    monkeypatch.delenv("HOME")
    assert home_directory() == Path(pwd.getpwuid(os.getuid()).pw_dir)


def test_a_user_that_no_file_knows_has_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert home_directory() == Path("/")
