"""What is signed of a publication: every field of it, in one fixed form.

The payload is not kept beside the fields but made from them whenever a signature is made or
checked: so what a node goes by is exactly what was signed, and no second copy can differ from the
first. The form is JSON with sorted keys, no blanks, and numbers that are integers (times in
milliseconds), which any language can produce.
"""

import msgspec

from strew.publication import Publication
from strew.trust import dsse
from strew.trust.keys import SigningKey

_MS_PER_S = 1000


class _Payload(msgspec.Struct, frozen=True):
    """The fields in the order of their names."""

    artifact: str
    chunk_count: int
    expires_ms: int
    name: str
    published_ms: int
    reference: str
    size_bytes: int
    version: int


_encoder = msgspec.json.Encoder()


def whole_ms(seconds: float) -> float:
    """The time that can be signed nearest below."""
    return int(seconds * _MS_PER_S) / _MS_PER_S


def payload_of(publication: Publication) -> bytes | None:
    """The bytes that are signed; None if a time is no whole number of milliseconds, of which there
    could be several publications with one payload."""
    published_ms = round(publication.published_s * _MS_PER_S)
    expires_ms = round(publication.expires_s * _MS_PER_S)
    if (published_ms / _MS_PER_S, expires_ms / _MS_PER_S) != (
        publication.published_s,
        publication.expires_s,
    ):
        return None
    return _encoder.encode(
        _Payload(
            publication.artifact,
            publication.chunk_count,
            expires_ms,
            publication.name,
            published_ms,
            publication.reference,
            publication.size_bytes,
            publication.version,
        )
    )


def signed(publication: Publication, keys: tuple[SigningKey, ...], expires_s: float) -> Publication:
    """The publication as these keys sign it, good up to that unix time."""
    bare = msgspec.structs.replace(
        publication,
        published_s=whole_ms(publication.published_s),
        expires_s=whole_ms(expires_s),
        signatures=(),
    )
    payload = payload_of(bare)
    assert payload is not None
    signatures = tuple(dsse.sign(key, dsse.NAME_TYPE, payload) for key in keys)
    return msgspec.structs.replace(bare, signatures=signatures)
