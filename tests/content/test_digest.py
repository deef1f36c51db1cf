import pytest

from strew.content.digest import artifact_id_of, digest_of, parse_artifact_id
from strew.errors import UsageError

EMPTY_BLAKE3 = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_known_answer_of_the_empty_input() -> None:
    assert digest_of(b"").hex() == EMPTY_BLAKE3
    assert artifact_id_of(b"") == f"blake3:{EMPTY_BLAKE3}"


def test_any_buffer_gives_the_same_digest() -> None:
    assert digest_of(bytearray(b"abc")) == digest_of(memoryview(b"abc")) == digest_of(b"abc")


def test_an_id_survives_its_text() -> None:
    assert parse_artifact_id(artifact_id_of(b"x")) == artifact_id_of(b"x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY_BLAKE3,
        f"blake3:{EMPTY_BLAKE3[:-1]}",
        f"blake3:{EMPTY_BLAKE3}0",
        f"blake3:{EMPTY_BLAKE3.upper()}",
        f"blake3:{EMPTY_BLAKE3}\n",
        f" blake3:{EMPTY_BLAKE3}",
        f"sha256:{EMPTY_BLAKE3}",
        "blake3:" + "\u0663" * 64,
    ],
)
def test_what_is_not_an_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="64 lowercase hex"):
        parse_artifact_id(text)
