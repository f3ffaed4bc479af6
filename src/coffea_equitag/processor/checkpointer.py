"""coffea's checkpoints, found again only by the same processor with the same taggers and options."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath
from typing import Any

import cloudpickle
from coffea.processor import SimpleCheckpointer

from .fingerprint import fingerprint

__all__ = ["TaggerCheckpointer"]

#: Where a chunk lies: part of the file's name already, or (the address) free to change.
_PLACE = ("filename", "fileuuid", "treename", "entrystart", "entrystop")


class TaggerCheckpointer(SimpleCheckpointer):
    """A `SimpleCheckpointer` whose files lie in a folder named by a hash of the processor.

    ::

        runner = Runner(executor, schema=PFNanoAODSchema, checkpointer=TaggerCheckpointer("checkpoints/"))

    The hash covers taggers (by content hash), options, the code of cuts and hooks, the metadata of the dataset, and the
    versions of packages (see `fingerprint`): after any change of these, chunks are processed again. A file gets its
    name when it is complete.
    """

    def __init__(self, checkpoint_dir: str, verbose: bool = False, overwrite: bool = True) -> None:
        super().__init__(checkpoint_dir, verbose, overwrite)
        self._paths = dict[tuple[Any, ...], str]()

    def filepath(self, metadata: Any, processor_instance: Any) -> str:
        """Path of the output of a chunk.

        Raises
        ------
        TaggerError
            If the processor holds something that cannot be hashed.
        """
        told = {name: value for name, value in metadata.items() if name not in _PLACE}
        chunk = PurePosixPath(super().filepath(metadata, processor_instance)).relative_to(self.checkpoint_dir)
        return str(PurePosixPath(self.checkpoint_dir) / fingerprint(processor_instance, told)[:32] / chunk)

    def load(self, metadata: Any, processor_instance: Any) -> Any:
        """Output of a chunk, or None; where it will be saved is settled here, before the chunk changes anything."""
        output = super().load(metadata, processor_instance)
        if output is None:
            self._paths[_place(metadata)] = self.filepath(metadata, processor_instance)
        return output

    def save(self, output: Any, metadata: Any, processor_instance: Any) -> None:
        """Write the output of a chunk; if that fails, say so and go on, as coffea does."""
        # coffea has added to the metadata since
        path = self._paths.pop(_place(metadata), None) or self.filepath(metadata, processor_instance)
        if self.fs.exists(path) and not self.overwrite:
            return
        part = f"{path}.{uuid.uuid4().hex}.part"
        try:
            self.fs.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            with self.fs.open(part, "wb", compression="lz4") as file:
                cloudpickle.dump(output, file)
            self.fs.mv(part, path)
        except Exception as error:
            if self.verbose:
                print(f"Could not save checkpoint: {error}. Continuing without checkpointing...")


def _place(metadata: Any) -> tuple[Any, ...]:
    return tuple(metadata.get(name) for name in ("dataset", *_PLACE))
