"""What stops the local program is told apart: network, TLS, identity, credentials, start."""

import pytest

from lairchat.model import faults
from lairchat.model.refusals import REFUSALS


def test_an_unreachable_server_is_not_called_a_wrong_password():
    text = faults.NetRefused(address="chat.example.org:7023", host="chat.example.org").text
    assert text == (
        "cannot reach chat.example.org:7023: connection refused. "
        "Is the server running? Try: lair doctor chat.example.org"
    )


@pytest.mark.parametrize("prefix", ["LC-NET-", "LC-TLS-", "LC-START-", "LC-PROFILE-"])
def test_each_kind_of_trouble_has_codes_of_its_own(prefix):
    found = [kind for code, kind in REFUSALS.items() if code.startswith(prefix)]
    assert len(found) >= 3
    assert {kind.__module__ for kind in found} == {faults.__name__}


def test_no_sentence_about_the_network_speaks_of_credentials():
    for code, kind in REFUSALS.items():
        if code.startswith(("LC-NET-", "LC-TLS-")):
            assert "password" not in kind.text
            assert "credential" not in kind.text


def test_a_mistake_in_the_configuration_is_told_with_its_place():
    assert str(faults.Config(**faults.Config.sample)) == (
        'LC-CFG  etc/lairchat.toml:12:8: unknown key "endpiont" in [listen.chat]. '
        'Did you mean "endpoint"?'
    )
