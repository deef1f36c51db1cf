"""What is fuzzed: one function of bytes for each reader of what comes from outside.

A target returns, whatever the bytes. Reading may fail with the errors that its reader promises and
with no other; what was read must keep the laws that all who use it count on. A broken law is an
AssertionError. Targets are plain functions: the tests run them over the kept corpus without a
fuzzer.
"""

import contextlib
import datetime
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
from cryptography import x509

from fuzz import seeds
from strew import codec
from strew.access.tokens import is_token, parse_token
from strew.agent.anchors import parse_anchor
from strew.agent.config import load
from strew.agent.probing import PADDING_CHARS_MAX, decode_probe, probe_datagram
from strew.agent.quantity import parse_duration, parse_rate, parse_size
from strew.agent.ranges import part_asked_for
from strew.agent.settings import KEYS
from strew.announce import protocol as announces
from strew.announce.reference import follows, parse_pattern
from strew.certificates.authority import Authority, request_of
from strew.certificates.identity import certified_by, certified_by_der
from strew.cli import live
from strew.cli.painting import columns_of, rendered
from strew.content import paths
from strew.content.bitfield import Bitfield
from strew.content.digest import artifact_id_of
from strew.content.manifest import Manifest
from strew.content.reference import Name, parse_address, parse_name, parse_reference
from strew.dht import bencode, krpc
from strew.errors import (
    ConfigurationError,
    DeniedError,
    IntegrityError,
    ProtocolError,
    StrewError,
    UsageError,
)
from strew.fleet import FleetKey
from strew.gossip import protocol as gossip
from strew.publication import Publication
from strew.sim.fleet import Machine
from strew.sim.like import like
from strew.sim.run import check
from strew.telemetry import protocol as telemetries
from strew.telemetry import recording as recordings
from strew.telemetry.recorder import Recorder, Who
from strew.telemetry.report import report_of
from strew.telemetry.view import BoardChange, BoardView
from strew.telemetry.watched import Watched
from strew.tracker.problem import error_of_answer
from strew.transfer.handshake import Handshake
from strew.transfer.sealing import DATAGRAM_BYTES_MAX, Fault, Seal
from strew.trust import dsse
from strew.trust.keys import PublicKey, SigningKey, member_key
from strew.trust.policy import Trust

Target = Callable[[bytes], None]

KEY = FleetKey(b"the key of a fleet that is not.!")
NODE = "0" * 32
NONCE = b"n" * 32

MEMBER = member_key(KEY).public

_PUBLICATION = msgspec.json.Decoder(Publication)
_CHANGE = msgspec.json.Decoder(BoardChange)

BOARD = msgspec.json.encode(seeds.board())
"""What a change is told of."""

NOW = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)

BITS_MAX = 1 << 12
"""More chunks take longer to look at and break no other rule."""


def frames(data: bytes) -> None:
    """Frames of the peer wire, however they are cut, and the messages in them."""
    whole = _frames_of([data])
    middle = len(data) // 2
    assert _frames_of([data[:middle], data[middle:]]) == whole
    for kind, body in whole:
        with contextlib.suppress(ProtocolError):
            message = codec.decode(kind, body)
            if message is not None:
                again = codec.encode(message)
                assert codec.decode(again[4], again[5:]) == message


def _frames_of(pieces: list[bytes]) -> list[tuple[int, bytes]]:
    reader = codec.FrameReader(codec.CONTROL_FRAME_BYTES_MAX)
    found: list[tuple[int, bytes]] = []
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            found += reader.feed(piece)
    return found


def chunk_header(data: bytes) -> None:
    """The header of a slice of a chunk."""
    raw = data[: codec.CHUNK_HEADER_BYTES].ljust(codec.CHUNK_HEADER_BYTES, b"\0")
    with contextlib.suppress(ProtocolError):
        header = codec.unpack_chunk_header(raw)
        assert 0 <= header.slice_bytes <= codec.SLICE_BYTES_MAX
        assert header.offset + header.slice_bytes <= header.total <= codec.CHUNK_BYTES_MAX
        assert codec.unpack_chunk_header(codec.pack_chunk_header(header)) == header


def handshake(data: bytes) -> None:
    """What a stranger says first; it proves nothing, so it must never be through."""
    hello = codec.Hello(1, NODE, "e", "", "control", 1, "", NONCE)
    listener = Handshake(KEY, hello, lambda theirs: hello)
    with contextlib.suppress(StrewError):
        listener.feed(codec.PREFACE + data)
    assert not listener.done
    with contextlib.suppress(ProtocolError):
        told = codec.decode_hello(data)
        assert codec.decode_hello(codec.encode_hello(told)) == told


def telemetry(data: bytes) -> None:
    """What a node tells of its transfers, and what a recorder makes of it."""
    with contextlib.suppress(ProtocolError):
        found = telemetries.decode_telemetry(data)
        assert telemetries.decode_telemetry(telemetries.encode_telemetry(found)) == found
        for swarm in found.swarms:
            spread = Publication(
                reference="",
                artifact=swarm.artifact,
                version=1,
                size_bytes=10_000,
                chunk_count=swarm.chunk_count % BITS_MAX,
                published_s=0.0,
                name="",
            )
            recorder = Recorder(spread)
            with contextlib.suppress(ProtocolError):
                recorder.heard(Who(found.node), found, swarm, 50.0)
            made = recorder.taken().recording()
            assert recordings.decode_recording(recordings.encode_recording(made)) == made
            report_of(made)


def recording(data: bytes) -> None:
    """A recorded transfer, from a file or a tracker."""
    with contextlib.suppress(ProtocolError):
        found = recordings.decode_recording(data)
        assert recordings.decode_recording(recordings.encode_recording(found)) == found
        report_of(found)
        with contextlib.suppress(UsageError):
            terms, scenario = like(found, 1)
            check(terms)
            if terms.nodes <= BITS_MAX:
                scenario.bound(terms, [Machine() for _ in range(terms.nodes)])


def bitfield(data: bytes) -> None:
    """Which chunks a peer says it has, of an artifact whose size it does not choose."""
    size = int.from_bytes(data[:3], "big") % BITS_MAX
    with contextlib.suppress(ProtocolError, IntegrityError):
        found = Bitfield.from_wire(data[3:], size)
        assert all(0 <= index < size for index in found)
        assert Bitfield.from_wire(found.to_wire(), size) == found


def manifest(data: bytes) -> None:
    """Exact bytes of a manifest."""
    with contextlib.suppress(IntegrityError):
        found = Manifest.parse(data)
        assert found.id == artifact_id_of(data) and found.raw == data
        assert sum(found.lengths) == found.size_bytes
        assert not paths.broken_name_rule(found.name)
        assert len({paths.folded(entry.path) for entry in found.entries}) == len(found.entries)
        for entry in found.entries:
            assert not os.path.isabs(entry.path) and ".." not in entry.path.split("/")
            if entry.kind == "link":
                folder = os.path.dirname(entry.path)
                inside = os.path.normpath(os.path.join("/root", folder, entry.target))
                assert os.path.commonpath(["/root", inside]) == "/root"
        for index in range(min(found.chunk_count, 64)):
            assert sum(s.length_bytes for s in found.spans(index)) == found.length(index)
            assert len(found.digest(index)) == 32


def datagram(data: bytes) -> None:
    """A datagram of gossip, opened."""
    with contextlib.suppress(ProtocolError):
        message = gossip.decode(data)
        assert gossip.decode(gossip.encode(message)) == message


def exchange(data: bytes) -> None:
    """A body of an exchange between two members."""
    with contextlib.suppress(ProtocolError):
        message = gossip.decode_exchange(data)
        assert gossip.decode_exchange(gossip.encode(message)) == message


def sealed(data: bytes) -> None:
    """A datagram as it comes: whoever lacks the key gets nothing past the seal."""
    assert isinstance(Seal(KEY).open(data, 0.0), Fault)


def table(data: bytes) -> None:
    """A message of the hash table, and the bencoding below it."""
    with contextlib.suppress(ProtocolError):
        value = bencode.decode(data)
        assert bencode.decode(bencode.encode(value)) == value
    with contextlib.suppress(ProtocolError):
        message = krpc.decode(data)
        if isinstance(message, krpc.MESSAGES) and len(data) < krpc.BYTES_OUT_MAX // 2:
            assert krpc.decode(krpc.encode(message)) == message


def announce(data: bytes) -> None:
    """What a node tells a tracker."""
    with contextlib.suppress(ProtocolError):
        told = announces.decode_announce(data)
        assert announces.decode_announce(announces.encode(told)) == told
        for pattern in told.follows:
            follows((pattern,), "app:1")


def handout(data: bytes) -> None:
    """What a tracker answers, and how it refuses."""
    with contextlib.suppress(ProtocolError):
        told = announces.decode_handout(data)
        assert announces.decode_handout(announces.encode(told)) == told
    error = error_of_answer(400, data, whence="a tracker")
    assert error.message.isprintable() and "\n" not in str(error)


def publication(data: bytes) -> None:
    """A name as others tell it: whoever lacks the key has nothing believed."""
    with contextlib.suppress(ProtocolError):
        told = announces.decoded(data, _PUBLICATION, "publication")
        assert Trust(member=MEMBER).refusal(told) is not None


def envelope(data: bytes) -> None:
    """A signed envelope in the form that other tools read."""
    with contextlib.suppress(IntegrityError):
        found = dsse.open_envelope(data)
        again = dsse.envelope(found.kind, found.payload, found.signatures)
        assert dsse.open_envelope(again) == found
        for signature in found.signatures:
            assert not dsse.holds(signature, MEMBER, found.kind, found.payload)


def keys(data: bytes) -> None:
    """Keys and tokens as text, and key files."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(UsageError):
        assert PublicKey.parse(text).text == text
    with contextlib.suppress(UsageError):
        assert is_token(parse_token(text))
    with contextlib.suppress(UsageError):
        PublicKey.from_pem(data)
    with contextlib.suppress(ConfigurationError):
        SigningKey.from_pem(data)
    with contextlib.suppress(UsageError, ConfigurationError):
        parse_anchor(text)


def certificate(data: bytes) -> None:
    """A certificate as it comes over the wire, for whom it speaks."""
    with contextlib.suppress(DeniedError):
        found = certified_by_der(data)
        assert found.owns(found.peer_id())


def certificate_request(data: bytes) -> None:
    """What a node asks its issuer to sign, and a private key that it asks with."""
    authority, current = _authority()
    with contextlib.suppress(UsageError):
        renewed = x509.load_pem_x509_certificate(authority.renew(data, current, NOW))
        assert certified_by(renewed) == certified_by(current)
    with contextlib.suppress(ConfigurationError):
        x509.load_pem_x509_csr(request_of(data))


@cache
def _authority() -> tuple[Authority, x509.Certificate]:
    """An authority, and a certificate that it issued."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.make(Path(folder), "fuzz", NOW)
    issued = authority.issue("node", ("127.0.0.1",), NOW)
    return authority, x509.load_pem_x509_certificate(issued.certificate)


def ranges(data: bytes) -> None:
    """A Range header, of a file whose size it does not choose."""
    size_bytes = int.from_bytes(data[:5], "big")
    part = part_asked_for(data[5:].decode("utf-8", "surrogateescape"), size_bytes)
    assert part is None or part.empty or 0 <= part.first < part.end <= size_bytes


def references(data: bytes) -> None:
    """What people type to name things."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(UsageError):
        found = parse_reference(text)
        assert parse_reference(str(found)) == found
    with contextlib.suppress(UsageError):
        name = parse_name(text)
        assert str(name) == text and ".." not in text
        assert isinstance(name, Name) and text.isascii() and text.isprintable()
    with contextlib.suppress(UsageError):
        address = parse_address(text, port_min=0)
        assert parse_address(str(address), port_min=0) == address
    with contextlib.suppress(UsageError):
        follows((parse_pattern(text),), "app:1")


def probe(data: bytes) -> None:
    """A request to be dialled back: at the asker's address, whatever it says."""
    with contextlib.suppress(ProtocolError):
        asked = decode_probe(data)
        assert asked.port is None or 0 < asked.port < 65536
        assert len(asked.padding) <= PADDING_CHARS_MAX
        assert len(probe_datagram(asked.nonce)) == DATAGRAM_BYTES_MAX


def quantities(data: bytes) -> None:
    """Numbers with units, and the text of every setting."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (parse_size, parse_rate, parse_duration):
        with contextlib.suppress(UsageError):
            value = parse(text)
            assert value is None or value >= 0
    for knob in KEYS.values():
        if not knob.secret:
            with contextlib.suppress(UsageError, ConfigurationError):
                knob.read(text)


def board_change(data: bytes) -> None:
    """A change of a board, as a tracker tells it, and what a terminal makes of it."""
    watched = Watched(msgspec.json.decode(BOARD, type=BoardView))
    count, columns = len(watched.machines), watched.columns
    with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        change = _CHANGE.decode(data)
        with contextlib.suppress(ProtocolError):
            watched.apply(1, change)
    assert len(watched.machines) >= count
    assert all(len(row.cells) == columns for row in watched.machines[:count])
    for line in (*live.block(watched, "app:1", 79, 60), live.line(watched, "app:1")):
        text = rendered(line, 79, colour=False)
        assert columns_of(text) <= 79 and text.isprintable()


_SETTINGS = Path(tempfile.gettempdir()) / f"strew-fuzz-{os.getpid()}.toml"


def settings(data: bytes) -> None:
    """A file of settings."""
    _SETTINGS.write_bytes(data)
    try:
        load({}, environ={}, config_path=_SETTINGS)
    except ConfigurationError as error:
        assert "\n" not in str(error)
    finally:
        _SETTINGS.unlink()


TARGETS: dict[str, Target] = {
    target.__name__.replace("_", "-"): target
    for target in (
        announce,
        bitfield,
        board_change,
        certificate,
        certificate_request,
        chunk_header,
        datagram,
        envelope,
        exchange,
        frames,
        handout,
        handshake,
        keys,
        manifest,
        probe,
        publication,
        quantities,
        ranges,
        recording,
        references,
        sealed,
        settings,
        table,
        telemetry,
    )
}
