"""The man pages and completions in etc/ are what the programs are, and work where they are used."""

import runpy
import subprocess
from pathlib import Path
from unittest import TestCase

from tests.requirements import require

CHECKOUT = Path(__file__).resolve().parent.parent
ETC = CHECKOUT / "etc"


class Manuals(TestCase):
    def test_what_is_committed_is_what_the_programs_are(self) -> None:
        made = runpy.run_path(str(CHECKOUT / "docs" / "manuals.py"))["files"]()
        self.assertEqual(len(made), 8)
        for name, text in made.items():
            with self.subTest(name):
                self.assertEqual((ETC / name).read_text("utf-8"), text, "python docs/manuals.py")

    def test_man_reads_them_without_a_word(self) -> None:
        require("man")
        for path in sorted((ETC / "man").iterdir()):
            with self.subTest(path.name):
                words = ["man", "--warnings=w", "--local-file", str(path)]
                done = subprocess.run(words, capture_output=True, check=True, timeout=30)
                self.assertEqual(done.stderr, b"")
                shown = done.stdout.decode()
                self.assertRegex(shown, rf"NAME\n +{path.stem} [-\u2010\u2212] \w")

    def test_bash_completes(self) -> None:
        script = f"""
            source "{ETC}/completions/bash/lair"
            COMP_WORDS=(lair "$1"); COMP_CWORD=1; COMP_LINE="lair $1"; COMP_POINT=${{#COMP_LINE}}
            _shtab_lair
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        for typed, offered in (("doc", "doctor"), ("serv", "serverkey"), ("--pl", "--plain")):
            with self.subTest(typed):
                done = subprocess.run(
                    ["bash", "--norc", "-c", script, "bash", typed],
                    capture_output=True,
                    check=True,
                    timeout=30,
                )
                self.assertEqual(done.stdout.decode().split(), [offered])
