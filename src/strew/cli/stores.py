"""Finding stores on this machine, and what lies where, without disturbing their agents."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from strew.agent.config import Configuration, Source, default_data_folder
from strew.agent.signed import SIGNED_FILE, SignedRecords
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.publication import Signature
from strew.store.index import Row
from strew.store.survey import StoreSurvey


class Placed(NamedTuple):
    """An artifact that is complete on this machine, and the manifest its store keeps."""

    row: Row
    manifest: Manifest

    @property
    def path(self) -> Path:
        return Path(self.row.root)


def data_folders(found: Configuration) -> list[Path]:
    """The folder that --data names; without, those that 'strew node' and 'strew serve' use."""
    settings = found.settings
    if found.origins["data"].source is not Source.DEFAULT and settings.data is not None:
        return [settings.data]
    folders = (default_data_folder(os.environ, "node"), default_data_folder(os.environ, "serve"))
    return [folder for folder in folders if folder is not None]


def placed_at(found: Configuration, path: Path) -> Placed | None:
    """The artifact that a store put at `path`, or published from there."""
    root = os.path.realpath(path)
    for survey in _surveys(found):
        row = survey.complete_at(root)
        if row is not None:
            return Placed(row, survey.manifest(row.artifact))
    return None


def placed(found: Configuration, artifact: ArtifactId) -> Placed | None:
    """Where that artifact is complete."""
    for survey in _surveys(found):
        row = survey.complete(artifact)
        if row is not None:
            return Placed(row, survey.manifest(artifact))
    return None


def kept_signatures(found: Configuration, artifact: ArtifactId) -> tuple[Signature, ...]:
    """Those over an artifact's manifest which a process with one of these folders keeps."""
    for folder in data_folders(found):
        if (folder / SIGNED_FILE).exists():
            records = SignedRecords(folder)
            try:
                signatures = records.signatures(artifact)
            finally:
                records.close()
            if signatures:
                return signatures
    return ()


def _surveys(found: Configuration) -> Iterator[StoreSurvey]:
    for folder in data_folders(found):
        yield StoreSurvey(folder)
