"""Editing, deleting and reacting: as slash commands, and by a letter while a message is selected."""

from __future__ import annotations

from lairchat.client import outbox
from lairchat.client.effects_sealed import AskAll, Change, PickAnswers, React, SetTimer, TakeBack
from lairchat.client.kit import CommandError, ask, need_online, notice, request
from lairchat.client.reading import selected_item
from lairchat.client.verbs_sealed import need_sealed
from lairchat.model.limits import (
    EXPIRY_SECONDS_MAX,
    POLL_OPTION_CHARS,
    POLL_OPTIONS,
    REACTION_CHARS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Item, Room

__all__ = [
    "change",
    "delete",
    "delete_selected",
    "edit",
    "edit_selected",
    "numbered",
    "on_selected",
    "poll",
    "put_before",
    "react",
    "react_selected",
    "react_to_last",
    "reaction_in",
    "reply",
    "reply_selected",
    "seconds_in",
    "timer",
    "vote",
]

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MODERATES = frozenset({"moderator", "admin", "owner"})


# -- by commands -------------------------------------------------------------------------------------


def edit(state: AppState, call: Call) -> list[Effect]:
    """Give a message of ours another text."""
    room = need_sealed(state)
    item = numbered(room, call.word("#N"))
    text = call.rest()
    if not text:
        call.word("the new text")
    return change(state, room, item.order[0], text)


def change(state: AppState, room: Room, seq: int, text: str) -> list[Effect]:
    """Ask for the change; the command that does it comes back if it is refused."""
    why = outbox.refusal(text) or outbox.closed(state, room)
    if why:
        raise CommandError(why)
    need_online(state)
    ref = request(state, f"/edit #{seq} {text}")
    return [Change(ref, room.id, seq, text)]


def reply(state: AppState, call: Call) -> list[Effect]:
    """Answer a message, which is shown above the answer."""
    room = need_sealed(state)
    item = numbered(room, call.word("#N"))
    text = call.rest().strip("\n")
    if not text:
        call.word("the answer")
    why = outbox.refusal(text) or outbox.closed(state, room)
    if why:
        raise CommandError(why)
    return outbox.send(state, room, text, answered=item)


def poll(state: AppState, call: Call) -> list[Effect]:
    """Ask everybody in a room something, with answers to pick from."""
    room = need_sealed(state)
    question, *answers = [part.strip() for part in call.rest().split("|")]
    many = question.partition(" ")[0] == "many"
    if many:
        question = question.removeprefix("many").strip()
    if not question or not all(answers) or not 2 <= len(answers) <= POLL_OPTIONS:
        raise CommandError(
            f"a question and 2 to {POLL_OPTIONS} answers, with | between. {call.command.usage}"
        )
    if len(set(answers)) < len(answers):
        raise CommandError("two of the answers are the same")
    long = next((one for one in answers if len(one) > POLL_OPTION_CHARS), None)
    if long is not None:
        raise CommandError(f"an answer has {POLL_OPTION_CHARS} characters at most: {long[:20]} ...")
    why = outbox.refusal(question) or outbox.closed(state, room)
    if why:
        raise CommandError(why)
    need_online(state)
    return [AskAll(request(state, call.typed), room.id, question, tuple(answers), many)]


def vote(state: AppState, call: Call) -> list[Effect]:
    """Pick answers of a poll, of the last one without a number; 0 takes them back."""
    room = need_sealed(state)
    words = call.rest().split()
    number = words.pop() if words and words[-1].startswith("#") else ""
    picks = [word for word in words if word.isascii() and word.isdigit() and len(word) < 4]
    if not words or len(picks) < len(words):
        raise CommandError(f"which answers, by number? {call.command.usage}")
    numbers = sorted({int(pick) for pick in picks})
    if 0 in numbers and len(numbers) > 1:
        raise CommandError("0 alone takes the vote back")
    item = numbered(room, number) if number else _poll(room)
    why = outbox.closed(state, room)
    if why:
        raise CommandError(why)
    need_online(state)
    chosen = tuple(number - 1 for number in numbers if number)
    return [PickAnswers(request(state, call.typed), room.id, item.order[0], chosen)]


def timer(state: AppState, call: Call) -> list[Effect]:
    """Let what is said from now on disappear some time after it was read."""
    room = need_sealed(state)
    word = call.word("how long").lower()
    call.end()
    seconds = seconds_in(word)
    if seconds is None:
        raise CommandError(f'"{word[:20]}" is no time. Try: /timer 1h, 30m, 7d, or off')
    if seconds:
        notice(state, f"what you say in {room.title} goes {word} after it was read")
    else:
        notice(state, f"what you say in {room.title} stays")
    return [SetTimer(request(state, call.typed), room.id, seconds)]


def seconds_in(word: str) -> int | None:
    """Return the seconds that somebody means by 30s, 5m, 1h, 7d, 2w or off; None for anything else."""
    if word == "off":
        return 0
    number, unit = word[:-1], UNITS.get(word[-1:])
    if unit is None or not number.isascii() or not number.isdigit() or len(number) > 6:
        return None
    seconds = int(number) * unit
    return seconds if 0 < seconds <= EXPIRY_SECONDS_MAX else None


def delete(state: AppState, call: Call) -> list[Effect]:
    """Delete a message, once the user said yes."""
    room = need_sealed(state)
    item = numbered(room, call.word("#N"))
    call.end()
    return _delete(state, room, item)


def _delete(state: AppState, room: Room, item: Item) -> list[Effect]:
    if not item.own and room.role not in MODERATES:
        raise CommandError("only its author and the room's moderators delete a message")
    need_online(state)
    room_id, seq = room.id, item.order[0]

    def really(state: AppState) -> list[Effect]:
        return [TakeBack(request(state), room_id, seq)]

    whose = "your message" if item.own else f"{item.sender}'s message"
    ask(state, f"Delete {whose} for everybody? Who has read it has read it.", really)
    return []


def react(state: AppState, call: Call) -> list[Effect]:
    """React to a message, or take the same reaction back."""
    room = need_sealed(state)
    emoji = call.word("EMOJI")
    number = call.optional()
    call.end()
    item = numbered(room, number) if number else _last(room)
    return _react(state, room, item, emoji)


def react_to_last(state: AppState, emoji: str) -> list[Effect]:
    """React to the newest message of the room shown."""
    room = need_sealed(state)
    return _react(state, room, _last(room), emoji)


def _react(state: AppState, room: Room, item: Item, emoji: str) -> list[Effect]:
    if len(emoji) > REACTION_CHARS:
        raise CommandError(f"a reaction has {REACTION_CHARS} characters at most. Try: /react +1")
    why = outbox.closed(state, room)
    if why:
        raise CommandError(why)
    need_online(state)
    on = not any(own and known == emoji for known, _, own in item.reactions)
    return [React(request(state), room.id, item.order[0], emoji, on)]


def reaction_in(text: str) -> str:
    """Return the reaction that a line is, as in ``+:tada:``, empty if it is none."""
    word = text[1:].strip()
    if not text.startswith("+") or not 0 < len(word) <= REACTION_CHARS:
        return ""
    name = word[1:-1]
    if (
        len(word) > 2
        and word[0] == word[-1] == ":"
        and all(c.isalnum() or c in "_+-" for c in name)
    ):
        return word
    return word if not any(c.isascii() or c.isalnum() or c.isspace() for c in word) else ""


def numbered(room: Room, word: str) -> Item:
    """Return the message of a number that was typed; raise CommandError if it is not loaded."""
    number = word.removeprefix("#")
    if number.isascii() and number.isdigit():
        for item in room.window.items:
            if item.counts and item.order == (int(number[:15]), 0):
                return item
    raise CommandError(f"no message {word[:20]} is loaded here. /search and /goto find one")


def _poll(room: Room) -> Item:
    for item in reversed(room.window.items):
        if item.counts and item.order[1] == 0 and item.poll:
            return item
    raise CommandError("there is no poll here. With its number: /vote 1 #120")


def _last(room: Room) -> Item:
    for item in reversed(room.window.items):
        if item.counts and item.order[1] == 0:
            return item
    raise CommandError("there is no message here to react to")


# -- by letters --------------------------------------------------------------------------------------


def edit_selected(state: AppState) -> list[Effect]:
    """Put the selected message back into the input: a failed one, or one of ours to change it."""
    if outbox.selected(state) is not None:
        return outbox.take_back(state)
    return on_selected(state, _begin)


def _begin(state: AppState, room: Room, item: Item) -> list[Effect]:
    if not item.own:
        raise CommandError("only its author edits a message")
    editor = room.editor
    if editor.text:
        state.history.add(editor.take())
        notice(state, "what was in the input is in the history: Up")
    editor.set("/" + item.text if item.text.startswith("/") else item.text)
    editor.target = item.order[0]
    return []


def reply_selected(state: AppState) -> list[Effect]:
    """Begin an answer to the selected message in the input; send a failed one again."""
    if outbox.selected(state) is not None:
        return outbox.resend(state)
    return on_selected(state, _answer)


def _answer(state: AppState, room: Room, item: Item) -> list[Effect]:
    put_before(room, f"/reply #{item.order[0]}")
    notice(state, f"what you type answers {'your own message' if item.own else item.sender}")
    return []


def put_before(room: Room, command: str) -> None:
    """Put a command before what is typed already, which is its text."""
    editor = room.editor
    if editor.target:
        raise CommandError("finish what you edit first: Enter, or Ctrl-C")
    editor.set(f"{command} {editor.text}")


def delete_selected(state: AppState) -> list[Effect]:
    """Delete the selected message, once the user said yes."""
    return on_selected(state, _delete)


def react_selected(state: AppState) -> list[Effect]:
    """Begin a reaction to the selected message in the input."""
    return on_selected(state, _prepare)


def _prepare(state: AppState, room: Room, item: Item) -> list[Effect]:
    editor = room.editor
    if editor.text:
        raise CommandError("finish what is in the input first, or Ctrl-C puts it into the history")
    editor.set(f"/react +1 #{item.order[0]}")
    notice(state, "Enter reacts with +1; or put another one in its place")
    return []


def on_selected(
    state: AppState, act: Callable[[AppState, Room, Item], list[Effect]]
) -> list[Effect]:
    """Do something with the selected message of an encrypted room, or say why not."""
    item = selected_item(state)
    if item is None or not item.counts or item.order[1]:
        notice(state, "that is for messages that everybody has")
        return []
    try:
        wanted = act(state, need_sealed(state), item)
    except CommandError as problem:
        notice(state, str(problem), error=True)
        return []
    state.selected = None
    return wanted
