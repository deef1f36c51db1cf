"""References as people type them: each form, and each way to get one wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.content.reference import (
    Address,
    Link,
    Name,
    parse_address,
    parse_name,
    parse_reference,
)
from strew.errors import UsageError

ID = "blake3:" + "0123456789abcdef" * 4
WORDS = st.from_regex(r"[A-Za-z0-9](?:[._-]?[A-Za-z0-9]){0,20}", fullmatch=True)


def test_the_three_forms() -> None:
    assert parse_reference("app:2.1") == Name("app", "2.1")
    assert parse_reference("team/app_x-y:v1") == Name("team/app_x-y", "v1")
    assert parse_reference(ID) == ID
    assert parse_reference("strew://10.0.0.5:7300/team/app:2") == Link(
        Address("10.0.0.5", 7300), Name("team/app", "2")
    )
    assert parse_reference("strew://[::1]:7300/app:2") == Link(
        Address("::1", 7300), Name("app", "2")
    )


@given(WORDS.filter(lambda word: word.lower() != "blake3"), WORDS, WORDS, st.integers(1, 65535))
def test_what_is_printed_can_be_read_again(name: str, tag: str, host: str, port: int) -> None:
    typed = Name(name, tag)
    assert parse_reference(str(typed)) == typed
    link = Link(Address("h", port), typed)
    assert parse_reference(str(link)) == link


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no tag"),
        ("app", "no tag"),
        (":", "empty"),
        ("app:", "the tag is empty"),
        (":1", "the name is empty"),
        ("a//b:1", "empty part"),
        ("/a:1", "empty part"),
        ("../x:1", "'..' is not allowed"),
        ("a/../b:1", "'..' is not allowed"),
        ("app:..", "'..' is not allowed"),
        ("-app:1", "does not start with '-'"),
        ("app:-rf", "does not start with '-'"),
        ("my app:1", "' ' in the name"),
        ("app:1 2", "' ' in the tag"),
        ("app:\U0001f600", "'\\U0001f600' in the tag"),
        ("app:1\n", "'\\n' in the tag"),
        ("app:a\u202eb", "'\\u202e' in the tag"),
        ("app:1:2", "':' in the tag"),
        ("app:1/2", "'/' in the tag"),
        ("app:1\0", "'\\x00' in the tag"),
        ("a" * 129 + ":1", "longer than 128"),
        ("a:" + "1" * 129, "longer than 128"),
        (ID[:-1], "64 hex digits, this has 63"),
        (ID + "0", "64 hex digits, this has 65"),
        (ID[:-1] + "g", "not an artifact id"),
        ("blake3:" + "A" * 64, "not an artifact id"),
        (ID.upper(), "not an artifact id"),
        ("http://h:1/app:1", "not a strew link"),
        ("strew://h:1", "names no artifact"),
        ("strew://h/app:1", "no port"),
        ("strew://h:99999/app:1", "between 1 and 65535"),
        ("strew://h:1/app", "no tag"),
        ("strew://h:1/../app:1", "'..'"),
    ],
)
def test_each_mistake_names_its_rule_in_one_line(text: str, rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert rule in caught.value.message
    assert "\n" not in str(caught.value)
    assert len(caught.value.message) < 240


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_reference(text)
    except UsageError as error:
        assert str(error).isprintable()


def test_a_published_name_is_neither_an_id_nor_a_link() -> None:
    with pytest.raises(UsageError, match="kept for artifact ids"):
        parse_name(ID)
    with pytest.raises(UsageError):
        parse_name("strew://h:1/app:1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:7300", Address("localhost", 7300)),
        ("a-b.example:1", Address("a-b.example", 1)),
        ("[fe80::1%eth0]:65535", Address("fe80::1%eth0", 65535)),
    ],
)
def test_addresses_can_be_read_and_printed(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("host", "no port"),
        ("[::1]", "no port"),
        ("::1:7300", "more than one colon"),
        ("host:", "is not a number"),
        ("host:+1", "is not a number"),
        ("host:1_0", "is not a number"),
        ("host:0", "between 1 and 65535"),
        ("host:65536", "between 1 and 65535"),
        ("host:" + "9" * 5000, "between 1 and 65535"),
        (":7300", "not a host name"),
        ("a b:1", "not a host name"),
        ("-h:1", "not a host name"),
        ("h..x:1", "not a host name"),
        ("[zz]:1", "not an IPv6 address"),
    ],
)
def test_each_wrong_address_names_its_rule(text: str, rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        parse_address(text)


def test_port_0_is_for_listening() -> None:
    assert parse_address("127.0.0.1:0", port_min=0).port == 0
