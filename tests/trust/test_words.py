"""Recovery words are BIP-39's, and a slip of the pen is told from a wrong secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.identity import word_list
from lairchat.trust.errors import WordsError
from lairchat.trust.secret import SecretBytes
from lairchat.trust.words import format_words, parse_words

# The vectors of 128 bits that BIP-39 names: github.com/trezor/python-mnemonic, vectors.json.
PUBLISHED = [
    ("00000000000000000000000000000000", "abandon " * 11 + "about"),
    (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
    ),
    (
        "80808080808080808080808080808080",
        "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    ),
    ("ffffffffffffffffffffffffffffffff", "zoo " * 11 + "wrong"),
    (
        "9e885d952ad362caeb4efe34a8e91bd2",
        "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic",
    ),
    (
        "c0ba5a8e914111210f2bd131f3d5e08d",
        "scheme spot photo card baby mountain device kick cradle pact join borrow",
    ),
    (
        "23db8160a31d3e0dca3688ed941adbf3",
        "cat swing flag economy stadium alone churn speed unique patch report train",
    ),
    (
        "f30f8c1da665478f49b001d94c5fc452",
        "vessel ladder alter error federal sibling chat ability sun glass valve picture",
    ),
]
ZOO = "zoo " * 11 + "wrong"


@pytest.mark.parametrize(("entropy", "words"), PUBLISHED)
def test_the_published_vectors(entropy, words):
    secret = SecretBytes(bytes.fromhex(entropy))
    assert format_words(secret) == words
    assert parse_words(words) == secret


@given(st.binary(min_size=16, max_size=16), st.data())
def test_case_and_space_do_not_matter(entropy, data):
    words = format_words(SecretBytes(entropy)).split()
    typed = "".join(
        data.draw(st.sampled_from([word, word.upper(), word.title()]))
        + data.draw(st.sampled_from([" ", "\n", "\t ", "\u3000"]))
        for word in words
    )
    assert parse_words(typed).reveal() == entropy


@pytest.mark.parametrize("count", [0, 1, 11, 13, 24])
def test_a_wrong_number_of_words_is_counted(count):
    with pytest.raises(WordsError, match=f"there are 12 recovery words; these are {count}"):
        parse_words("zoo " * count)


def test_endless_input_is_not_looked_at():
    with pytest.raises(WordsError, match="far longer"):
        parse_words("z" * 1_025)


@pytest.mark.parametrize(
    ("typed", "meant"), [("abandom", "abandon"), ("wrang", "wrong"), ("xoo", "zoo")]
)
def test_an_unknown_word_is_placed_and_the_nearest_named(typed, meant):
    words = ZOO.split()
    words[2] = typed
    with pytest.raises(WordsError, match="word 3 is not on the list") as caught:
        parse_words(" ".join(words))
    assert caught.value.place == 3
    assert meant in caught.value.nearest


def test_an_error_names_no_word():
    # A typed word is a part of the secret; the text of an error may end in a log.
    with pytest.raises(WordsError) as caught:
        parse_words(ZOO.replace("wrong", "wrang"))
    assert "wr" not in f"{caught.value}{caught.value!r}{caught.value.args}"
    assert caught.value.__cause__ is None


def test_the_checksum_finds_words_that_do_not_belong_together():
    with pytest.raises(WordsError, match="do not belong together"):
        parse_words("zoo " * 12)
    with pytest.raises(WordsError, match="do not belong together"):
        parse_words("abandon " * 12)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 11), st.integers(0, 2047))
def test_another_word_is_another_secret_or_an_error(entropy, place, number):
    words = format_words(SecretBytes(entropy)).split()
    changed = [*words]
    changed[place] = word_list()[number]
    try:
        found = parse_words(" ".join(changed))
    except WordsError:
        assert changed != words
    else:
        assert (found.reveal() == entropy) == (changed == words)


@given(st.text(max_size=200))
def test_any_text_is_words_or_an_error_of_ours(text):
    with pytest.raises(WordsError):
        parse_words(text)


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_other_sizes_are_a_misuse(size):
    with pytest.raises(ValueError, match="stand for 16 bytes"):
        format_words(SecretBytes(bytes(size)))
