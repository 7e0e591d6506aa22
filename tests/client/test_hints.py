"""What the row below the input says."""

from tests.client.scenes import in_lobby


def test_the_usage_of_a_command_is_shown_while_it_is_typed() -> None:
    person = in_lobby()
    person.types("/ki")
    assert "/kick   (Tab completes)" in person.screen()
    person.types("ck ")
    assert "/kick NAME [REASON]   put somebody out" in person.screen()
    person.key("ctrl-u")
    person.types("/zzz")
    assert "Tab completes" not in person.screen()
    person.types(" x")
    assert "Tab completes" not in person.screen()
    person.key("ctrl-u")
    person.types("//x")
    assert "Tab completes" not in person.screen()


def test_a_narrow_screen_has_a_hint_row_while_there_is_a_hint() -> None:
    person = in_lobby(40, 12)
    assert person.screen().split("\n")[-1].startswith("[!PLAIN]")
    person.types("/ki")
    assert person.screen().split("\n")[-1].startswith(" /kick   (Tab completes)")
    person.key("tab")
    assert person.screen().split("\n")[-1].startswith(" /kick NAME [REASON]")


def test_the_chosen_completion_is_never_cut_off() -> None:
    person = in_lobby(40, 12)
    person.types("/")
    for _ in range(25):
        person.key("tab")
        if person.state.completion is not None and person.state.completion.index >= 0:
            assert f"[{person.input}]" in person.screen()


def test_the_length_is_shown_before_the_limit_hits() -> None:
    person = in_lobby()
    person.types("x" * 3_501)
    assert "3501/4096" in person.screen()
    person.types("x" * 1_000)
    assert "TOO LONG" in person.screen()
    assert "4501/4096" in person.screen(120, 40)


def test_the_count_moves_to_its_own_row_when_the_last_one_is_full() -> None:
    person = in_lobby()
    person.types("short")
    person.key("alt-enter")
    person.types("x" * 60)
    assert person.screen().split("\n")[-1].startswith(" (Enter send, ^C cancel)  2 lines 66/4096")
    narrow = in_lobby(40, 12)
    narrow.types("short")
    narrow.key("alt-enter")
    narrow.types("y")
    assert "2 lines" not in narrow.screen()
    narrow.types("x" * 4_100)
    assert "2 lines 4107/4096  TOO LONG" in narrow.screen()
