"""A tiny program on a pty: paints the client with a scripted link; run by test_screen and test_boot.

Arguments: ``slow`` sleeps before it reads keys (as imports do), ``hostile FILE`` paints the strings
of a JSON file, ``crash`` raises; without any it talks in #lobby until /quit.
"""

import fcntl
import json
import os
import select
import sys
import termios
import time
from pathlib import Path

from lairchat.client import boot
from lairchat.client import effects as e
from lairchat.client import inputs as i


def main() -> None:
    """Run until Quit or the end of the terminal."""
    words = sys.argv[1:]
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the pty's signals are ours, as under a shell
    screen, state = boot.first_paint(["lair.example"])
    if "slow" in words:
        time.sleep(0.5)  # the test program stands for imports here
    from lairchat.client.update import update
    from lairchat.client.view import view, window_title

    woken: list[int] = []
    screen.on_resize = lambda: woken.append(1)
    state.local_time = time.gmtime
    seq = 0

    def handle(*events: i.Input) -> None:
        nonlocal seq
        for event in (i.Tick(1_795_348_800_000), *events):
            for effect in update(state, event):
                if screen.perform(effect):
                    continue
                if isinstance(effect, e.Quit):
                    raise SystemExit(0)
                if isinstance(effect, e.Send):
                    seq += 1
                    update(state, i.SendAcknowledged(effect.ticket, seq, 1_795_348_800_000))

    try:
        handle(
            i.Connecting("lair.example", 7023),
            i.Connected(),
            i.LoggedIn("you", 1),
            i.RoomsSynced((i.RoomInfo(1, "lobby", members=2, here=2),)),
            i.HistoryPage(1, (), older=False, replace=True),
        )
        if "crash" in words:
            raise RuntimeError("on purpose")
        if "hostile" in words:
            for text in json.loads(Path(words[-1]).read_text("utf-8")):
                seq += 1
                handle(i.MessageArrived(1, i.Message(seq, 0, text[:20], text)))
                screen.paint(view(state, *screen.size()), window_title(state))
        while not screen.closed:
            screen.paint(view(state, *screen.size()), window_title(state))
            select.select([screen.fileno()], [], [], screen.key_wait or 0.05)
            found = screen.read_keys()
            handle(*(found or (screen.flush_keys() if screen.key_wait else [])))
    finally:
        screen.stop()
        os.write(1, b"left in order\r\n")


if __name__ == "__main__":
    main()
