"""The same files by one process, by worker processes and by a cluster of which a worker dies: identical output."""

import os
import signal

import hist
import numpy as np
import pytest
from coffea.nanoevents import PFNanoAODSchema
from coffea.processor import DaskExecutor, FuturesExecutor, IterativeExecutor, Runner

from coffea_equitag import TaggerProcessor

FILES = 20


pytestmark = [
    pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning"),
    pytest.mark.skipif("EQUITAG_EXECUTORS" not in os.environ, reason="a minute of worker processes: nox -s executors"),
]


@pytest.fixture(scope="module")
def files(nano_writer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    jets = [2, 0, 3, 1, 1, 4]
    return [str(nano_writer(folder / f"{i}.root", jets[i % 6 :] + jets[: i % 6], seed=i)) for i in range(FILES)]


def processor(tagger, hook=None):
    return TaggerProcessor(
        {"FatJet": tagger},
        jet_selections={"FatJet": {"pt": lambda jets: jets.pt > 300}},
        working_points={"FatJet": {"loose": 0.3}},
        variables={"FatJet": {"msoftdrop": hist.axis.Regular(20, 0, 200, name="msoftdrop")}},
        # eighths and their squares add up without rounding, in whatever order chunks arrive
        weight=lambda events: (events.event % 7 + 1) / 8,
        hook=hook,
    )


def run(executor, files, given):
    fileset = {
        "signal": {"files": dict.fromkeys(files[:15], "Events")},
        "background": {"files": dict.fromkeys(files[15:], "Events")},
    }
    return Runner(executor=executor, schema=PFNanoAODSchema, chunksize=6)(fileset, given)


def processes_and_death(marker):
    """A hook that notes where it runs, and kills its process once, in the middle of the files."""

    def hook(events, jets):
        if events.metadata["filename"].endswith("10.root") and not os.path.exists(marker):
            open(marker, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"processes": {os.getpid()}}

    return hook


def assert_identical(one, other):
    """Equal to the last bit; datasets may come in another order."""
    if isinstance(one, hist.Hist):
        assert [axis.name for axis in one.axes] == [axis.name for axis in other.axes]
        assert_identical(cells(one), cells(other))
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_identical(one[key], other[key])
    else:
        np.testing.assert_array_equal(one, other)


def cells(histogram, names=()):
    """Contents by the labels of all category axes."""
    labels = [axis for axis in histogram.axes if isinstance(axis, hist.axis.StrCategory)]
    if not labels:
        return {names: np.asarray(histogram.view(flow=True)).tolist()}
    found = {}
    for label in labels[0]:
        found |= cells(histogram[{labels[0].name: label}], (*names, label))
    return found


@pytest.fixture(scope="module")
def expected(files, saved_tagger):
    output = run(IterativeExecutor(status=False), files, processor(saved_tagger))
    assert output["cutflow"]["signal"]["all"]["events"] == 15 * 6
    assert output["scores"]["FatJet"]["score"].sum(flow=True).value > 0
    return output


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of forks
def test_two_worker_processes(files, saved_tagger, expected):
    assert_identical(expected, run(FuturesExecutor(workers=2, status=False), files, processor(saved_tagger)))


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_dask_cluster_of_which_a_worker_is_killed(files, saved_tagger, expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    marker = str(tmp_path / "killed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path),
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = DaskExecutor(client=client, status=False, retries=3)
        output = run(executor, files, processor(saved_tagger, processes_and_death(marker)))
    assert os.path.exists(marker)
    assert len(output.pop("processes")) >= 2
    assert_identical(expected, output)
