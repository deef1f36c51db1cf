"""Trees of real files: the Python that runs the tests, a new version of it, exact comparison."""

import os
import random
import shutil
import stat
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SKIPPED = {"__pycache__", "site-packages"}
"""The first changes while tests run; the second is walked on its own."""

FILES_MAX = 4000
"""A Python with every library there is has 50,000 files; more than this shows nothing new."""

MADE_BYTES = 4_000_000
"""Length of each file that is made where the installation is too small."""

RUN_BYTES = 512 * 1024
"""Length of one changed piece: new versions change files here and there, not every page."""

READ_BYTES = 1 << 20


def copy_python(target: Path, size_bytes: int) -> None:
    """Fill a folder with exactly so many bytes of the running Python's installation.

    In it are what a tree can have: files, empty files, empty folders, modes, links.
    """
    target.mkdir()
    oddities(target / "odd")
    left_bytes = size_bytes - sum(path.stat().st_size for path in regular_files(target))
    for number, (source, relative) in enumerate(installed()):
        if number >= FILES_MAX or not left_bytes:
            break
        copy = target / relative
        try:
            content = source.read_bytes()[:left_bytes]
            mode = stat.S_IMODE(source.stat().st_mode)
        except OSError:
            continue  # installations come and go
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        copy.chmod(mode | 0o600)
        left_bytes -= len(content)
    dice = random.Random(0)
    for number in range(10_000):
        if not left_bytes:
            return
        content = dice.randbytes(min(MADE_BYTES, left_bytes))
        (target / f"made-{number}").write_bytes(content)
        left_bytes -= len(content)


def installed() -> Iterator[tuple[Path, Path]]:
    """Files of the installation, each with its path in the copy: the whole standard library, then
    the largest files of what else is installed."""
    paths = sysconfig.get_paths()
    library, packages = Path(paths["stdlib"]), Path(paths["purelib"])
    for source in files_below(library):
        yield source, "library" / source.relative_to(library)
    roots = dict.fromkeys((packages, library / "site-packages"))  # a virtual environment has both
    others = [(root, source) for root in roots for source in files_below(root)]
    others.sort(key=lambda found: (-found[1].stat().st_size, found))
    for root, source in others:
        yield source, Path("packages" if root == packages else "more", source.relative_to(root))


def files_below(root: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED)
        for file in sorted(files):
            source = Path(at, file)
            if source.is_file():
                yield source


def oddities(folder: Path) -> None:
    """What a tree can have beside plain files."""
    (folder / "empty folder/within").mkdir(parents=True)
    (folder / "empty").touch()
    (folder / "ünïcödé — 名").write_text("a name of many bytes\n")
    for mode in (0o400, 0o444, 0o555, 0o600, 0o640, 0o755, 0o777):
        (folder / f"mode-{mode:o}").write_text(f"{mode:o}\n")
        (folder / f"mode-{mode:o}").chmod(mode)
    (folder / "private").mkdir(mode=0o700)
    (folder / "private/key").write_text("secret\n")
    (folder / "link to file").symlink_to("empty")
    (folder / "link to folder").symlink_to("../odd/private")
    (folder / "dangling").symlink_to("not here")
    (folder / "closed").mkdir()
    (folder / "closed/file").write_text("in a folder that takes no more\n")
    (folder / "closed").chmod(0o555)


def change(tree: Path, target: Path, changed_bytes: int, dice: random.Random) -> None:
    """A new version: runs of bytes in large files, one file more, one less, a mode, a link."""
    shutil.copytree(tree, target, symlinks=True)
    large = [path for path in regular_files(target) if path.stat().st_size >= 2 * RUN_BYTES]
    assert large
    (target / "odd/new").write_bytes(dice.randbytes(1000))
    (target / "odd/empty").unlink()
    (target / "odd/mode-600").chmod(0o644)
    (target / "odd/dangling").unlink()
    (target / "odd/dangling").symlink_to("new")
    for _ in range(changed_bytes // RUN_BYTES):
        path = dice.choice(large)
        with path.open("r+b") as file:
            file.seek(dice.randrange(path.stat().st_size - RUN_BYTES))
            file.write(dice.randbytes(RUN_BYTES))


def regular_files(tree: Path) -> list[Path]:
    """In a fixed order."""
    found = [Path(at, name) for at, _, names in os.walk(tree) for name in names]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def differences(one: Path, other: Path) -> list[str]:
    """Every path at which kind, mode, link or bytes differ; times do not count."""
    one_status, other_status = one.lstat(), other.lstat()
    if one_status.st_mode != other_status.st_mode:
        return [f"{other}: mode {other_status.st_mode:o}, not {one_status.st_mode:o}"]
    if stat.S_ISLNK(one_status.st_mode):
        targets = os.readlink(one), os.readlink(other)
        return [] if targets[0] == targets[1] else [f"{other}: points to {targets[1]}"]
    if stat.S_ISDIR(one_status.st_mode):
        names, other_names = set(os.listdir(one)), set(os.listdir(other))
        found = [f"{other}: {name} only in one" for name in sorted(names ^ other_names)]
        for name in sorted(names & other_names):
            found += differences(one / name, other / name)
        return found
    return [] if same_bytes(one, other) else [f"{other}: other bytes"]


def same_bytes(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            piece = left.read(READ_BYTES)
            if piece != right.read(READ_BYTES):
                return False
            if not piece:
                return True
