"""Where fuzzing begins: honest input of every kind, made by the code that makes it for others."""

import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from strew import codec
from strew.agent.probing import ProbeRequest
from strew.announce import protocol as announces
from strew.certificates.authority import request_of
from strew.certificates.identity import NODE_URI
from strew.content.bitfield import Bitfield
from strew.content.chunker import params_for
from strew.content.digest import ArtifactId, digest_of
from strew.content.manifest import Entry, Manifest
from strew.dht import krpc
from strew.dht.contact import Contact, Key, NodeId
from strew.gossip import protocol as gossip
from strew.messages import Gone, Have, Join, PeerId, Plan, Request, Unfit, swarm_key_of
from strew.publication import Publication
from strew.telemetry.protocol import (
    LinkTelemetry,
    SwarmTelemetry,
    Telemetry,
    Timeline,
    encode_telemetry,
)
from strew.telemetry.recorder import Recorder, Who
from strew.telemetry.recording import encode_recording
from strew.telemetry.series import Rates
from strew.telemetry.view import BoardChange, BoardView, MachineRow, Progress, RarestChunk
from strew.tracker.problem import Problem
from strew.trust import dsse
from strew.trust.keys import SigningKey
from strew.trust.record import signed

NOW = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
SIGNING = SigningKey(b"seed of a key that nobody trusts")
ARTIFACT = ArtifactId("blake3:" + "7" * 64)
SWARM = swarm_key_of(ARTIFACT)
NODE = PeerId("a" * 32)
OTHER = PeerId("b" * 32)
PUBLICATION = Publication(
    reference="app:1.0",
    artifact=ARTIFACT,
    version=1_795_404_249_586,
    size_bytes=300,
    chunk_count=2,
    published_s=1.5,
    name="app.bin",
)
MEMBER = gossip.Member(NODE, "10.0.0.1", 7301, "rack-1", ("app:*",), 1_795_404_249_586)
NAMED = gossip.Named(PUBLICATION, (gossip.Holder(OTHER, "10.0.0.2", 7301),))
HELD = gossip.Held(NODE, SWARM, 1, 2, b"12345678", 3)
SUMS = tuple(range(gossip.BUCKETS))


def board() -> BoardView:
    """A board of two machines, one of which lags."""
    return BoardView(
        event_id=0,
        now_s=2.0,
        published_unix_s=1.5,
        artifact=ARTIFACT,
        references=["app:1.0"],
        name="app.bin",
        size_bytes=300,
        chunk_count=2,
        columns=2,
        progress=_progress(),
        zones=["", "rack-1"],
        machines=[_machine(NODE, 0), _machine(OTHER, 1)],
        times_s=[],
        previous=None,
        rates=Rates([1.0], [100.0], [50.0], [[100.0], [0.0]]),
        flows=[],
    )


def _progress() -> Progress:
    return Progress(
        total=2,
        done=0,
        failed=0,
        paused=0,
        fetching=2,
        waiting=0,
        done_bytes=300,
        total_bytes=600,
        eta_s=3.0,
        rate_bytes_per_s=100.0,
        origin_rate_bytes_per_s=50.0,
        origin_sent_ratio=1.0,
        peer_share=0.5,
        duplicate_ratio=0.1,
        line_seconds=3.0,
        bound_seconds=4.5,
        link_bytes_per_s=100.0,
        link_from="measured",
        ratio_now=1.1,
        ratio_end=None,
        rarest=RarestChunk(1, 1, 0),
        over=False,
    )


def _machine(peer: PeerId, zone_index: int) -> MachineRow:
    return MachineRow(
        id=peer,
        host="10.0.0.1",
        port=7301,
        zone_index=zone_index,
        state="fetching",
        is_origin=False,
        follows=True,
        have_chunks=1,
        received_bytes_per_s=50.0,
        sent_bytes_per_s=0.0,
        done_s=None,
        silent_s=0.5,
        cause="slow-up" if zone_index else "",
        why="its uplink is slow" if zone_index else "",
        remedy="",
        received_bytes=150,
        received_origin_bytes=0,
        reused_bytes=0,
        sent_bytes=0,
        duplicate_bytes=0,
        neighbours=1,
        cells="(;",
    )


def _changes() -> list[BoardChange]:
    of = _progress()
    return [
        BoardChange(
            artifact=ARTIFACT,
            now_s=3.0,
            progress=of,
            zones=["", "rack-1", "rack-2"],
            joined=[_machine(PeerId("c" * 32), 2)],
            machines=[(0, {"state": "seeding", "done_s": 2.5}), (1, {"cause": "stalled"})],
            cells=[(0, 0, "99")],
            times_s=[2.5],
            rates=(2.0, 100.0, 0.0, [50.0, 50.0]),
            flows=[(0, 1, 150)],
        ),
        BoardChange(artifact=ARTIFACT, now_s=4.0, progress=of, machines=[(7, {"host": "x"})]),
    ]


def _manifests() -> list[bytes]:
    content = b"x" * 300
    tree = Manifest.build(
        name="app",
        is_tree=True,
        mode=0o755,
        entries=[
            Entry("bin", "dir", 0o755),
            Entry("bin/tool", "file", 0o755, 100),
            Entry("link", "link", 0o777, 0, "bin/tool"),
            Entry("zz", "file", 0o644, 200),
        ],
        params=params_for(300),
        lengths=[150, 150],
        digests=digest_of(content[:150]) * 2,
    )
    empty = Manifest.build(
        name="empty",
        is_tree=False,
        mode=0o644,
        entries=[Entry("empty", "file", 0o644)],
        params=params_for(0),
        lengths=[],
        digests=b"",
    )
    return [tree.raw, empty.raw]


def _frames() -> list[bytes]:
    have = Bitfield(9, 0b101)
    messages = (
        Join(SWARM, ARTIFACT, have.to_wire(), 9),
        Have(SWARM, [1, 2, 3]),
        Request(SWARM, 5),
        Plan(SWARM, 1, NODE, 8, [[(NODE, "10.0.0.1", 7301)]], 0, 0),
        Unfit(SWARM, [NODE]),
        Gone(SWARM, [NODE]),
    )
    each = [codec.encode(message) for message in messages]
    return [*each, b"".join(each)]


def _table() -> list[bytes]:
    me, key = NodeId(5), Key(7)
    contacts = (Contact(NodeId(9), "10.0.0.9", 6881),)
    messages = (
        krpc.Ping(b"aa", sender=me),
        krpc.FindNode(b"ab", 3, sender=me),
        krpc.GetPeers(b"ac", key, sender=me),
        krpc.AnnouncePeer(b"ad", key, 6881, b"token", sender=me),
        krpc.Answer(b"ae", me, contacts, (("10.0.0.7", 6881),), b"token", 6881),
        krpc.Failure(b"af", 204, "no"),
    )
    return [krpc.encode(message) for message in messages]


def _certified() -> tuple[bytes, bytes]:
    """A certificate (DER) and a request for one (PEM), by keys that are always the same."""
    key = ec.derive_private_key(0x5EED, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=7))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(NODE_URI + NODE)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.DER), request_of(pem)


def _telemetry() -> tuple[Telemetry, bytes]:
    """What a node tells that is done, and the recording that comes of it."""
    swarm = SwarmTelemetry(
        artifact=ARTIFACT,
        have=Bitfield.full(9).to_wire(),
        chunk_count=9,
        sources="123412341",
        received_near_bytes=300,
        up=(0.5, 0.5, 0.0, 0.0),
        elapsed_s=2.0,
        timeline=Timeline(
            width_s=0.5,
            elapsed_s=1.0,
            received_bytes=(100, 200),
            down_ticks=((), (5000, 2000), (0, 3000)),
            up_ticks=((0, 5000), (5000,)),
        ),
    )
    links = (LinkTelemetry(OTHER, 1, 2),)
    telemetry = Telemetry(node=NODE, at_s=5.0, swarms=(swarm,), links=links)
    recorder = Recorder(msgspec.structs.replace(PUBLICATION, chunk_count=9))
    recorder.heard(Who(NODE, "10.0.0.1", 7301, "rack-1"), telemetry, swarm, 5.0)
    return telemetry, encode_recording(recorder.taken().recording())


def seeds() -> dict[str, list[bytes]]:
    """For each target some inputs."""
    announce = announces.Announce(
        node=NODE,
        port=7301,
        zone="rack-1",
        follows=("app:*",),
        holdings=(
            announces.Holding(artifact=ARTIFACT, have_chunks=1, chunk_count=2, state="fetching"),
        ),
        wants=(ARTIFACT,),
        seen=5,
    )
    handout = announces.Handout(
        lease_s=30.0,
        interval_s=10.0,
        seen=7,
        peers={ARTIFACT: (announces.Peer(OTHER, "10.0.0.2", 7301),)},
        publications=(PUBLICATION,),
        manifests={ARTIFACT: b"strewm"},
    )
    problem = Problem(type="urn:strew:usage", title="Bad", status=400, detail="no", code="usage")
    hello = codec.Hello(1, NODE, "e1", "5e", "control", 7301, "rack-1", b"n" * 32)
    header = codec.ChunkHeader(codec.TYPE_CHUNK, SWARM, 1, 0, 150, 1, 1, 150)
    certificate, request = _certified()
    telemetry, recording = _telemetry()
    gossiped = (
        gossip.Ping(MEMBER, 7, (MEMBER, NAMED, HELD)),
        gossip.PingRequest(MEMBER, 8, OTHER),
        gossip.Ack(MEMBER, 9, OTHER),
        gossip.Tidings(MEMBER, (HELD,)),
    )
    exchanged = (
        gossip.Summary(MEMBER, SUMS, SUMS, SUMS),
        gossip.Differences(MEMBER, {1: b"8" * 8}, {}, {}),
        gossip.Entries(MEMBER, (MEMBER, NAMED, HELD), b"8" * 16),
    )
    return {
        "announce": [announces.encode(announce)],
        "board-change": [msgspec.json.encode(change) for change in _changes()],
        "bitfield": [b"\0\0\x09" + Bitfield(9, 0b101).to_wire(), b"\0\x20\0" + b"\x01"],
        "certificate": [certificate],
        "certificate-request": [request, SIGNING.pem],
        "chunk-header": [codec.pack_chunk_header(header)],
        "datagram": [gossip.encode(message) for message in gossiped],
        "envelope": [
            dsse.envelope(kind, b"payload", (dsse.sign(SIGNING, kind, b"payload"),))
            for kind in (dsse.NAME_TYPE, dsse.MANIFEST_TYPE)
        ],
        "exchange": [gossip.encode(message) for message in exchanged],
        "frames": _frames(),
        "handout": [announces.encode(handout), msgspec.json.encode(problem)],
        "handshake": [
            codec.encode_hello(hello),
            codec.frame(codec.TYPE_HELLO, codec.encode_hello(hello)),
        ],
        "keys": [
            SIGNING.public.text.encode(),
            SIGNING.public.text.encode() + b"=app:*",
            SIGNING.pem,
            b"0123456789abcdef." + b"A" * 43,
        ],
        "manifest": _manifests(),
        "probe": [
            msgspec.json.encode(ProbeRequest(port=7301, nonce="0123456789abcdef", padding="x" * 9)),
        ],
        "publication": [
            msgspec.json.encode(PUBLICATION),
            msgspec.json.encode(signed(PUBLICATION, (SIGNING,), 2e9)),
        ],
        "quantities": [b"100M", b"1.5 Gbit", b"10m30s", b"unlimited", b"127.0.0.1:7300", b"app:*"],
        "ranges": [b"\0\0\0\x01\0bytes=" + rest for rest in (b"0-9", b"5-", b"-7", b"0-1,4-5")],
        "recording": [recording],
        "references": [
            b"app:1.0",
            b"team/app:v1",
            ARTIFACT.encode(),
            b"strew://[::1]:7300/app:1",
            b"host.example:7300",
        ],
        "sealed": [b"\x11" + bytes(100)],
        "settings": [
            b"rate-up = '10M'\nfollow = ['app:*']\nlisten = '127.0.0.1:0'\n",
            b"zone = 'a'\nzone = 'b'\n",
            b"neighbours = 50\n",
        ],
        "table": _table(),
        "telemetry": [encode_telemetry(telemetry)],
    }
