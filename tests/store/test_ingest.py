"""Reading what is to be published: every kind of input, and every one that is refused."""

import os
import resource
import socket
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import InputChangedError, NotFoundError, UsageError
from strew.store import ingest
from strew.store.ingest import read_manifest, scan
from tests.store.makers import KIB, MIB, write_file, write_tree


def ingested(path: Path, name: str | None = None) -> Manifest:
    return read_manifest(scan(path, name), None)


def test_a_file_is_one_entry_of_its_name(tmp_path: Path) -> None:
    path = write_file(tmp_path / "data.bin")
    path.chmod(0o640)
    manifest = ingested(path)
    (entry,) = manifest.entries
    assert (entry.path, entry.kind, entry.mode, entry.size_bytes) == (
        "data.bin",
        "file",
        0o640,
        600 * KIB,
    )
    assert ingested(path, "other").name == ingested(path, "other").entries[0].path == "other"


def test_a_tree_lists_everything_in_order(tmp_path: Path) -> None:
    manifest = ingested(write_tree(tmp_path / "tree"))
    listed = [entry.path for entry in manifest.entries]
    assert listed == sorted(listed)
    kinds = {entry.path: entry.kind for entry in manifest.entries}
    assert kinds["empty folder"] == "dir"
    assert kinds["lib/empty"] == "file"
    assert kinds["link"] == "link"
    assert (manifest.is_tree, manifest.mode) == (True, 0o751)


@pytest.mark.parametrize("size_bytes", [0, 1, 64 * KIB, 16 * KIB])
def test_small_sizes(tmp_path: Path, size_bytes: int) -> None:
    manifest = ingested(write_file(tmp_path / "f", size_bytes))
    assert manifest.size_bytes == size_bytes
    assert manifest.chunk_count == (1 if size_bytes else 0)


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert ingested(tmp_path / "empty").entries == ()


def test_set_id_bits_are_stripped(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f", 10)
    path.chmod(0o6755)
    assert ingested(path).mode == 0o755


def test_a_link_as_the_argument_is_followed(tmp_path: Path) -> None:
    write_file(tmp_path / "real", 10)
    (tmp_path / "alias").symlink_to("real")
    manifest = ingested(tmp_path / "alias")
    assert (manifest.name, manifest.size_bytes) == ("alias", 10)


def test_times_do_not_matter(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f")
    first = ingested(path)
    os.utime(path, (1, 1))
    assert ingested(path).id == first.id


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../outside", ".."])
def test_links_out_of_the_folder(tmp_path: Path, target: str) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/l").symlink_to(target)
    with pytest.raises(UsageError, match="'l'"):
        scan(tmp_path / "t", None)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    os.mkfifo(tmp_path / "t/pipe")
    with pytest.raises(UsageError, match="'pipe' in it is a FIFO"):
        scan(tmp_path / "t", None)
    with pytest.raises(UsageError, match="it is a FIFO"):
        scan(tmp_path / "t/pipe", None)
    with pytest.raises(UsageError, match="it is a device"):
        scan(Path("/dev/null"), None)
    os.chdir(tmp_path)  # a socket's path may have 107 bytes only
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        with pytest.raises(UsageError, match="it is a socket"):
            scan(tmp_path / "sock", None)


@pytest.mark.parametrize("name", ["a\nb", "a\u202eb", "back\\slash", "cafe\u0301"])
def test_names_against_the_rules(tmp_path: Path, name: str) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / name).touch()
    with pytest.raises(UsageError) as caught:
        scan(tmp_path / "t", None)
    assert "\n" not in str(caught.value)
    (tmp_path / "g").touch()
    with pytest.raises(UsageError):
        scan(tmp_path / "g", name)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "t") + b"/\xff")).touch()
    with pytest.raises(UsageError, match="UTF-8"):
        scan(tmp_path / "t", None)


def test_names_that_differ_only_in_case(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/README").touch()
    (tmp_path / "t/readme").touch()
    with pytest.raises(UsageError, match="upper and lower"):
        scan(tmp_path / "t", None)


def test_too_deep_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep" / "/".join("d" * 40)).mkdir(parents=True)
    with pytest.raises(UsageError, match="32 components"):
        scan(tmp_path / "deep", None)
    monkeypatch.setattr(ingest, "ENTRIES_MAX", 3)
    (tmp_path / "many").mkdir()
    for name in "abcd":
        (tmp_path / "many" / name).touch()
    with pytest.raises(UsageError, match="more than 3 files"):
        scan(tmp_path / "many", None)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        scan(tmp_path / "missing", None)
    (tmp_path / "dangling").symlink_to("missing")
    with pytest.raises(NotFoundError):
        scan(tmp_path / "dangling", None)


@pytest.mark.parametrize("change", ["grown", "truncated", "touched", "replaced", "removed"])
def test_a_file_that_changed_after_the_scan(tmp_path: Path, change: str) -> None:
    path = write_file(tmp_path / "f")
    source = scan(path, None)
    if change == "grown":
        with path.open("ab") as file:
            file.write(b"x")
    elif change == "truncated":
        os.truncate(path, 1000)
    elif change == "touched":
        os.utime(path)
    elif change == "replaced":
        path.rename(tmp_path / "old")
        path.write_bytes((tmp_path / "old").read_bytes())
    else:
        path.unlink()
    with pytest.raises(InputChangedError, match="changed while it was read"):
        read_manifest(source, None)


@pytest.mark.parametrize("at", [0, 1])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, at: int) -> None:
    root = tmp_path / "t"
    root.mkdir()
    files = [write_file(root / "a", 9 * MIB), write_file(root / "b", 9 * MIB)]

    def change(done_bytes: int, size_bytes: int) -> None:
        if done_bytes < size_bytes:
            os.utime(files[at])

    with pytest.raises(InputChangedError):
        read_manifest(scan(root, None), change)


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 256 * MIB)
    ingested(write_file(tmp_path / "warm-up", 2 * MIB))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ingested(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 16 * KIB
