"""The files and taggers of the processor's tests."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("nano_fixtures", Path(__file__).parents[1] / "processor" / "conftest.py")
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

nano_writer = _fixtures.nano_writer
nano_file = _fixtures.nano_file
open_nano = _fixtures.open_nano
saved_tagger = _fixtures.saved_tagger
three_class_tagger = _fixtures.three_class_tagger
