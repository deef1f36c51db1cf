"""A fleet of profile strict as real processes: it works, and nobody else gets in."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest
from cryptography import x509

from strew.announce.protocol import encode
from strew.certificates.credentials import Files, load
from strew.gossip import protocol as gossip
from strew.messages import PeerId
from strew.telemetry.protocol import Telemetry, encode_telemetry
from tests.announce.makers import announce
from tests.certificates.issued import WEEK_S, Issuer, utc
from tests.cli.processes import Done, Running, call, until
from tests.gossip.makers import member
from tests.machines import Fleet, Machine
from tests.members import make_file
from tests.trees import same_bytes

SIZE_BYTES = 8 << 20


class Strict(Fleet):
    """Three machines and a serve that renews certificates; `issuer` made all they have."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.issuer = Issuer(folder.parent / f"{folder.name}.ca")
        super().__init__(folder, *flags, *shown(self.issuer.files("serve")))
        me = self.issuer.files("me", is_user=True)
        self.tls = load(me, utc()).met
        self.env |= variables(me)

    def __enter__(self) -> Self:
        super().__enter__()
        self.env["STREW_TRUST"] = self.serve.event("listening")["publisher"]
        self.env["STREW_TOKEN"] = self.result("token", "new", "--role", "publish")["token"]
        return self

    def machine(self, name: str, *flags: str, for_s: float = WEEK_S, at_s: float = 0.0) -> Machine:
        """A node with a certificate of its own."""
        files = self.issuer.files(name, for_s=for_s, at_s=at_s)
        return self.node(name, *flags, *shown(files))

    def call(self, *words: str, env: dict[str, str]) -> Done:
        """A short command of somebody with these variables."""
        others = {name: value for name, value in self.env.items() if name not in variables()}
        return call(*words, env=others | env, cwd=self.folder)

    def stranger(self, *words: str, env: dict[str, str]) -> Running:
        """A process of somebody with these variables."""
        others = {name: value for name, value in self.env.items() if name not in variables()}
        running = Running(*words, env=others | env, cwd=self.folder)
        self._started.append(running)
        return running


def shown(files: Files) -> tuple[str, ...]:
    """Flags for what a process proves itself with."""
    return ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))


def variables(files: Files | None = None) -> dict[str, str]:
    """The same as environment variables, with profile and CA."""
    found = files or Files(Path(), Path(), Path())
    return {
        "STREW_PROFILE": "strict",
        "STREW_TLS_CA": str(found.ca),
        "STREW_TLS_CERT": str(found.certificate),
        "STREW_TLS_KEY": str(found.key),
    }


def trusting(files: Files, issuer: Issuer) -> Files:
    """As `files`, of somebody who also knows the fleet's own authority."""
    both = files.ca.with_name("both.pem")
    both.write_bytes(files.ca.read_bytes() + issuer.ca.read_bytes())
    return Files(both, files.certificate, files.key)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """Shared by all that only look at it."""
    folder = tmp_path_factory.mktemp("strict")
    with Strict(folder) as strict:
        for name in ("one", "two", "three"):
            strict.machine(name)
        strict.knows("one", "two", "three")
        yield strict


def refused(done: Done, said: str) -> None:
    """Exit code 6, one line, and what it says."""
    assert done.code == 6, done.out + done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert said in done.err


# --- it works -------------------------------------------------------------------------------------


def test_push_get_and_status_work_as_ever(fleet: Strict) -> None:
    path = make_file(fleet.folder / "app.bin", SIZE_BYTES)
    pushed = fleet.result("push", str(path), "app:1", "--wait")
    assert (pushed["nodes_done"], pushed["nodes_failed"]) == (3, 0)
    for name in ("one", "two", "three"):
        assert same_bytes(path, fleet.machines[name].into / "app.bin")
    got = fleet.result("get", "app:1", "--output", "here")
    assert got["fetched_bytes"] == SIZE_BYTES and same_bytes(path, fleet.folder / "here")
    nodes = {node["id"]: node for node in fleet.api.json("nodes")}
    for name in ("serve", "one", "two", "three"):
        assert fleet.issuer.authority.peer_of(name) in nodes, "ids are those of certificates"
    status = fleet.run("status", "app:1", "--json")
    assert status.code == 0, status.err
    for running in fleet._started:
        assert "Traceback" not in running.errors


def test_doctor_looks_at_a_strict_fleet(fleet: Strict) -> None:
    files = fleet.issuer.files("doctor")
    env = fleet.env | variables(files)
    words = ("doctor", "--join", fleet.at, "--listen", "127.0.0.1:0", "--json")
    found = {f["check"]: f for f in call(*words, env=env, cwd=fleet.folder).final["findings"]}
    assert found["certificate"]["level"] == found["tracker"]["level"] == "ok"
    assert fleet.issuer.authority.peer_of("doctor") in found["certificate"]["detail"]


def test_files_go_to_outside_tools_over_https(fleet: Strict, tmp_path: Path) -> None:
    path = make_file(fleet.folder / "web.bin", SIZE_BYTES, seed=8)
    fleet.result("push", str(path), "web:1")
    [url] = fleet.result("show", "web:1", "--url")["urls"]
    assert url.startswith("https://")
    body = fleet.api.bytes(url.split(fleet.at, 1)[1])
    assert body == path.read_bytes()


# --- who does not get in --------------------------------------------------------------------------


def test_a_plain_client_is_refused_in_one_line(fleet: Strict) -> None:
    refused(fleet.call("ls", env={}), "profile strict: TLS 1.3 with client certificates only")


def test_a_client_of_another_authority_is_refused_in_one_line(
    fleet: Strict, tmp_path: Path
) -> None:
    other = Issuer(tmp_path / "other")
    files = other.files("me", is_user=True)
    refused(fleet.call("ls", env=variables(files)), "its certificate is refused")
    files = trusting(files, fleet.issuer)
    refused(fleet.call("ls", env=variables(files)), "it does not know the CA")


@pytest.mark.parametrize("kind", ["plain", "another authority's"])
def test_a_node_that_does_not_belong_ends_with_one_line(
    fleet: Strict, tmp_path: Path, kind: str
) -> None:
    env = {}
    if kind != "plain":
        env = variables(trusting(Issuer(tmp_path / "other").files("evil"), fleet.issuer))
    running = fleet.stranger(
        *("node", "--join", fleet.at, "--listen", "127.0.0.1:0", "--follow", "app:*"),
        *("--into", str(tmp_path / "in"), "--data", str(tmp_path / "data")),
        env=env,
    )
    until(lambda: running.process.poll() is not None, "it to be turned away")
    assert running.stop() == 6
    assert running.event("error")["code"] == "denied"
    assert not list((tmp_path / "in").iterdir()) and "Traceback" not in running.errors


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_a_machine_whose_clock_is_wrong_hears_that_its_certificate_has_expired(
    fleet: Strict, tmp_path: Path
) -> None:
    """By its own clock, four minutes late, all is well."""
    files = fleet.issuer.files("late", is_user=True, for_s=3600, at_s=-3780)
    env = fleet.env | variables(files) | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    running = Running(
        *("ls", "--at", fleet.at), env=env, cwd=tmp_path, wrapped=("faketime", "-f", "-4m")
    )
    assert running.event("error")["code"] == "denied"
    assert "has expired" in running.event("error")["message"]
    assert running.process.wait(5.0) == 6
    running.stop()


def test_a_strict_client_hears_that_a_plain_fleet_is_plain(fleet: Strict, tmp_path: Path) -> None:
    with Fleet(tmp_path) as plain:
        at = ("--at", plain.at)
        refused(fleet.run("ls", *at), "does not speak TLS")


def test_the_tracker_believes_certificates_and_not_what_is_announced(
    fleet: Strict, tmp_path: Path
) -> None:
    """A member with a good certificate and the fleet key announces, gossips, and tells of transfers
    as another."""
    own, other = (fleet.issuer.authority.peer_of(name) for name in ("liar", "two"))
    liar = load(fleet.issuer.files("liar"), utc()).met
    bodies = {
        "announce": lambda peer: encode(msgspec.structs.replace(announce(1), node=peer)),
        "gossip": lambda peer: gossip.encode(
            gossip.Summary(msgspec.structs.replace(member(1), id=peer), *[(0,) * 32] * 3)
        ),
        "telemetry": lambda peer: encode_telemetry(Telemetry(node=peer, at_s=0.0)),
    }
    for (route, body), (peer, status) in itertools.product(
        bodies.items(), ((other, 403), (own, 200))
    ):
        request = urllib.request.Request(
            f"https://{fleet.at}/api/v1/{route}",
            data=body(PeerId(peer)),
            headers={
                "Authorization": f"Bearer {fleet.key.node_token()}",
                "Content-Type": "application/octet-stream",
            },
        )
        try:
            with urllib.request.urlopen(request, context=liar, timeout=5) as answer:
                got = answer.status
        except urllib.error.HTTPError as error:
            got = error.code
            assert json.loads(error.read())["code"] == "denied"
        assert got == status


# --- it does not start ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"STREW_TLS_CERT": ""}, "profile strict needs --tls-cert"),
        ({"STREW_TLS_KEY": ""}, "profile strict needs --tls-key"),
        ({"STREW_TLS_CA": ""}, "profile strict needs --tls-ca"),
        ({"STREW_TLS_CERT": "nowhere.pem"}, "'nowhere.pem': No such file"),
        ({"STREW_PROFILE": "lab"}, "tls-ca is set, but profile lab encrypts no TCP"),
        ({"STREW_PROFILE": "severe"}, "none of lab, strict"),
    ],
    ids=["certificate", "key", "ca", "missing file", "lab", "profile"],
)
@pytest.mark.parametrize("command", ["ls", "node", "serve"])
def test_nothing_starts_with_anything_missing(
    fleet: Strict, tmp_path: Path, command: str, change: dict[str, str], said: str
) -> None:
    words = {
        "ls": ("ls",),
        "node": ("node", "--listen", "127.0.0.1:0", "--data", str(tmp_path)),
        "serve": ("serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path)),
    }[command]
    done = call(*words, env=fleet.env | change, cwd=tmp_path)
    assert done.code == 9, done.out + done.err
    [line] = done.err.splitlines()
    assert said in line


# --- renewal --------------------------------------------------------------------------------------


def fleet_port(fleet: Fleet) -> int:
    return int(fleet.at.rpartition(":")[2])


def serial_at(port: int, context: ssl.SSLContext) -> int:
    """The certificate a process shows now."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def test_new_files_are_taken_up_and_cut_no_transfer(tmp_path: Path) -> None:
    with Strict(tmp_path, "--rate-up", "3M") as fleet:
        assert fleet.tls is not None
        machine = fleet.machine("box", "--log-level", "debug")
        fleet.knows("box")
        path = make_file(tmp_path / "app.bin", 24 << 20)
        manifest = fleet.push(path, "app:1")
        machine.reaches(manifest.id, 0.1)
        before = {port: serial_at(port, fleet.tls) for port in (machine.port, fleet_port(fleet))}
        for name in ("box", "serve"):
            fleet.issuer.files(name)
        for port, serial in before.items():
            until(
                lambda port=port, serial=serial: serial_at(port, fleet.tls) != serial,
                "the new certificate to be shown",
            )
        assert machine.api.transfer(manifest.id)["stage"] == "fetching", "still under way"
        assert "new certificate taken" in machine.running.errors
        machine.done(manifest.id, within_s=30)
        assert same_bytes(path, machine.into / "app.bin")


def test_files_that_are_wrong_are_told_of_and_not_taken_up(tmp_path: Path) -> None:
    with Strict(tmp_path) as fleet:
        assert fleet.tls is not None
        machine = fleet.machine("box")
        serial = serial_at(machine.port, fleet.tls)
        files = fleet.issuer.files("other")
        os.replace(files.key, files.key.with_name("box.key"))
        os.replace(files.certificate, files.certificate.with_name("box.pem"))
        until(lambda: "now that of another peer" in machine.running.errors, "word of it")
        assert serial_at(machine.port, fleet.tls) == serial


def test_a_node_renews_its_certificate_with_a_serve_that_issues_them(tmp_path: Path) -> None:
    issuing = Strict(tmp_path)
    issuing._flags = (*issuing._flags, "--tls-issuer", str(issuing.issuer.folder))
    with issuing as fleet:
        assert fleet.tls is not None
        machine = fleet.machine("box", for_s=90, at_s=-55)  # due in two seconds
        serial = serial_at(machine.port, fleet.tls)
        path = fleet.issuer.folder / "box.pem"
        first = path.read_bytes()
        until(lambda: path.read_bytes() != first, "the file to be another")
        until(lambda: serial_at(machine.port, fleet.tls) != serial, "it to be shown")
        issued = fleet.issuer
        found = load(Files(issued.ca, path, issued.folder / "box.key"), utc())
        assert found.certified.digits == issued.authority.peer_of("box")
        until(lambda: "certificate renewed" in machine.running.errors, "word of it")
