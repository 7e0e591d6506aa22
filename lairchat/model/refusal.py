"""What a refusal is: the class that every way of saying no derives from, and their registry.

The refusals themselves are in :mod:`lairchat.model.refusals` (what a server answers) and
:mod:`lairchat.model.faults` (what stops the local program).
"""

from collections.abc import Mapping
from types import MappingProxyType

from lairchat.model import limits
from lairchat.model.text import display_clip

# No typing, string or enum here: the client imports this before its first paint.

_registry: "dict[str, type[Refusal]]" = {}

REFUSALS: "Mapping[str, type[Refusal]]" = MappingProxyType(_registry)
"""All refusals by code, read only."""

_TEXT_LIMIT = 400  # characters of a sentence that another server sent: two lines are expected


def describe_wait(seconds: float | None) -> str:
    """Return a waiting time in words, rounded up: "1.5 s", "3 min", "2 h", or "a moment"."""
    if seconds is None or seconds <= 0:
        return "a moment"
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    for size, unit in ((limits.HOUR, "h"), (limits.MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{-int(-seconds // size)} {unit}"
    return f"{-int(-seconds // 1)} s"


def sample_of(**values: object) -> Mapping[str, object]:
    """Return values for a class's ``sample``."""
    return MappingProxyType(values)


class Refusal(Exception):  # noqa: N818 - the field's term is refusal; it is no error of ours
    """A request that cannot be granted, as its code, one sentence and where it helps a field.

    Raised as ``RoomUnknown(name="attic")``; the values fill the class's ``text``, each made safe
    for a terminal and cut to 80 characters, because they come from strangers.
    A subclass without a ``code`` of its own groups others and is never raised.

    field: path of the argument that is wrong, such as ``$.name``.
    retry_after: seconds after which trying again makes sense; ``{wait}`` in the text shows it.
    Raises TypeError if the values are not those that the text names.
    """

    code: str = ""
    text: str = ""
    sample: Mapping[str, object] = sample_of()
    """Values as they might be, for documents and for the tests of length and tone; its keys are
    the names that the text uses."""
    value_chars: int = limits.VALUE_CHARS
    """characters: how much of each value is shown; more only where the words are our own."""

    def __init_subclass__(cls) -> None:
        """Enter the class into the registry; raises TypeError if its code is taken."""
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            return
        if cls.code in _registry:
            raise TypeError(f"{cls.code} is both {_registry[cls.code].__name__} and {cls.__name__}")
        _registry[cls.code] = cls

    def __init__(
        self, *, field: str | None = None, retry_after: float | None = None, **values: object
    ) -> None:
        if values.keys() != self.sample.keys():
            raise TypeError(
                f"{type(self).__name__} takes {sorted(self.sample)}, got {sorted(values)}"
            )
        shown = {name: display_clip(str(value), self.value_chars) for name, value in values.items()}
        self.field = field
        self.retry_after = retry_after
        self.text = type(self).text.format_map({"wait": describe_wait(retry_after), **shown})
        super().__init__(self.code, self.text)

    def __str__(self) -> str:
        return f"{self.code}  {self.text}"


def received(
    code: str, text: str, *, field: str | None = None, retry_after: float | None = None
) -> Refusal:
    """Return the refusal that the other end stated, of the class with its code if that is known.

    The sentence is theirs, made safe for a terminal and cut: it knows the values, we do not.
    """
    kind = REFUSALS.get(code, Refusal)
    refusal = kind.__new__(kind)
    refusal.code = code if code in REFUSALS else display_clip(code, limits.VALUE_CHARS)
    refusal.text = display_clip(text, _TEXT_LIMIT)
    refusal.field = None if field is None else display_clip(field, limits.VALUE_CHARS)
    refusal.retry_after = retry_after
    refusal.args = (refusal.code, refusal.text)
    return refusal
