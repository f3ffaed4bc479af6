"""What may be given as files to score: paths, folders, patterns, lists, addresses."""

import functools
import http.server
import re
import threading

import fsspec
import pytest
import uproot

from coffea_equitag import score_file
from coffea_equitag.errors import JetError
from coffea_equitag.scoring.inputs import Input, find_inputs
from coffea_equitag.scoring.source import memory_size


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Files by name, in the working directory; their content does not matter."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.root", "b.root", "deep/0001/c.root", "deep/a.root", "deep/.hidden.root", "deep/out/d.root"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"root")
    (tmp_path / "deep" / "notes.md").write_text("no ROOT file")
    (tmp_path / "list.txt").write_text("# made by hand\n\nb.root\ndeep/*.root\n")
    (tmp_path / "other").write_text("a.root\n")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a.root", [("a.root", "a")]),
        (["b.root", "a.root", "b.root"], [("b.root", "b"), ("a.root", "a")]),
        ("?.root", [("a.root", "a"), ("b.root", "b")]),
        ("deep", [("deep/0001/c.root", "0001/c"), ("deep/a.root", "a")]),
        ("deep/**/c.root", [("deep/0001/c.root", "c")]),
        ("list.txt", [("b.root", "b"), ("deep/a.root", "a")]),
        (["@list.txt", "@other"], [("b.root", "b"), ("deep/a.root", "a"), ("a.root", "a")]),
        ("https://host/path/x.root?token=1", [("https://host/path/x.root?token=1", "x")]),
        ("root://host//store/x.root", [("root://host//store/x.root", "x")]),
    ],
)
def test_found(data, given, found):
    assert find_inputs(given, data / "deep" / "out") == [Input(*one) for one in found]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no file to score"),
        ("absent.root", "no file absent.root (working directory"),
        ("*.parquet", "no file *.parquet"),
        ("deep/out/..data", "no file"),
        ("@absent", "absent, which cannot be read as a list of files"),
        ("empty.txt", "it has no lines"),
        ("nested.txt", "nested.txt with the list @other"),
        ("empty", "no file empty/**/*.root"),
        ("file://absent.root", "no file file://absent.root"),
        ("nothing://host/*.root", "Protocol not known: nothing"),
    ],
)
def test_not_found(data, given, message):
    (data / "empty.txt").write_text("# nothing\n")
    (data / "nested.txt").write_text("a.root\n@other\n")
    (data / "empty").mkdir()
    with pytest.raises(JetError, match=re.escape(message)):
        find_inputs(given)


def test_without_the_package_for_xrootd(saved_tagger, tmp_path):
    try:
        import fsspec_xrootd  # noqa: F401
    except ImportError:
        with pytest.raises(
            JetError, match=r"Install fsspec-xrootd[^\n]*\n  expected: .*\n  to fix: install the package"
        ):
            find_inputs("root://host//store/*.root")
        with pytest.raises(JetError, match=r"root://host//x\.root.*Install fsspec-xrootd"):
            score_file(saved_tagger, "root://host//x.root", tmp_path / "out.root", progress=False)
        assert list(tmp_path.iterdir()) == []
    else:
        pytest.skip("fsspec-xrootd is installed")


@pytest.fixture
def server(tmp_path):
    """Address of an HTTP server that shows the folder."""
    handler = functools.partial(_Ranges, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves the ranges that are asked for."""

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None:
            super().do_GET()
            return
        with open(self.translate_path(self.path), "rb") as file:
            content = file.read()
        first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *_):
        pass


def test_from_a_server(server, nano_file, saved_tagger, tmp_path):
    pytest.importorskip("aiohttp")
    (tmp_path / "in.root").write_bytes(nano_file.read_bytes())
    report = score_file(saved_tagger, f"{server}/in.root", tmp_path / "out.root", name="net", progress=False)
    assert (report.events, report.jets) == (12, 17)
    with pytest.raises(JetError, match=re.escape(f"{server}/absent.root, which cannot be read")):
        score_file(saved_tagger, f"{server}/absent.root", tmp_path / "no.root", progress=False)


def test_by_fsspec(nano_file, saved_tagger, tmp_path):
    system = fsspec.filesystem("memory")
    for name in ("/in/x.root", "/in/deep/y.root"):
        system.pipe(name, nano_file.read_bytes())
    try:
        assert find_inputs("memory://in/") == [
            Input("memory:///in/deep/y.root", "deep/y"),
            Input("memory:///in/x.root", "x"),
        ]
        assert find_inputs("memory://in/*.root") == [Input("memory:///in/x.root", "x")]
        score_file(saved_tagger, "memory://in/x.root", tmp_path / "out.root", name="net", progress=False)
        assert uproot.open(tmp_path / "out.root")["Events"].num_entries == 12
    finally:
        system.rm("/in", recursive=True)


@pytest.mark.parametrize(("text", "size"), [("100 MB", 1e8), ("2KiB", 2048), ("1.5e3 B", 1500), (".5 gb", 5e8)])
def test_sizes(text, size):
    assert memory_size(text) == size
