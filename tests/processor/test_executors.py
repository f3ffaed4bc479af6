"""The same files under every executor, and with a worker that is killed: the same histograms."""

import gc
import os
import signal
import sys

import loky
import pytest
import torch
from coffea.nanoevents import PFNanoAODSchema
from coffea.processor import DaskExecutor, FuturesExecutor, IterativeExecutor, ParslExecutor, Runner

from coffea_equitag import TaggerProcessor, variations

FILES = 20


class QuietSchema(PFNanoAODSchema):
    warn_missing_crossrefs = False


@pytest.fixture(scope="module")
def fileset(nano_writer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = [nano_writer(folder / f"{k}.root", [2, 0, 3, 1, k % 4], seed=k) for k in range(FILES)]
    return {
        "signal": {"files": {str(path): "Events" for path in paths[:12]}},
        "background": {"files": {str(path): "Events" for path in paths[12:]}},
    }


def make_processor(tagger, kill=None):
    def weight(events):
        if kill is not None and kill.exists():
            kill.unlink()  # once
            os.kill(os.getpid(), signal.SIGKILL)
        return (events.event % 4 + 1) / 4  # sums of quarters are exact in any order

    up = variations.JetScale(0.02)
    return TaggerProcessor(
        {"FatJet": tagger},
        weight=weight,
        variations={"scaleUp": up},
        jet_selections={"FatJet": {"pt": lambda jets: jets.pt > 400}},
        working_points={"FatJet": {"tight": 0.5}},
    )


def run(executor, fileset, processor, schema=QuietSchema):
    return Runner(executor, schema=schema)(fileset, processor)


def counts(out):
    """All numbers of the output, by dataset and category, whatever their order."""
    found = {}
    for group in ("scores", "jets"):
        for collection, histograms in out[group].items():
            for name, histogram in histograms.items():
                for dataset in histogram.axes["dataset"]:
                    for systematic in histogram.axes["systematic"]:
                        chosen = histogram[{"dataset": dataset, "systematic": systematic, "region": "inclusive"}]
                        for point in chosen.axes["working_point"]:
                            view = chosen[{"working_point": point}].view(flow=True)
                            found[group, collection, name, dataset, systematic, point] = (
                                view["value"].tolist(),
                                view["variance"].tolist(),
                            )
    return found | {key: out[key] for key in ("cutflow", "jet_cutflow", "sums")}


@pytest.fixture(scope="module")
def expected(fileset, saved_tagger):
    found = counts(run(IterativeExecutor(status=False), fileset, make_processor(saved_tagger)))
    assert sum(sum(map(sum, value)) for key, (value, _) in _histograms(found) if key[-1] == "inclusive") > 100
    return found


def _histograms(found):
    return [(key, value) for key, value in found.items() if isinstance(key, tuple)]


def test_two_futures_workers(fileset, saved_tagger, expected):
    executor = FuturesExecutor(workers=2, status=False)
    assert counts(run(executor, fileset, make_processor(saved_tagger))) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.filterwarnings("default")  # of distributed, about its worker that is gone
def test_a_dask_cluster_with_a_worker_killed(fileset, saved_tagger, expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    kill = tmp_path / "kill"
    kill.touch()
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = set(client.run(os.getpid).values())
        found = run(DaskExecutor(client=client, status=False, retries=3), fileset, make_processor(saved_tagger, kill))
        client.wait_for_workers(2)
        after = set(client.run(os.getpid).values())
    assert not kill.exists()
    assert len(before & after) == 1, "no worker was killed"
    assert counts(found) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="Parsl runs on POSIX systems")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore:Missing cross-reference",
    "ignore::pytest.PytestUnraisableExceptionWarning",  # of Parsl, which leaves log files open
)
def test_parsl(fileset, saved_tagger, expected, tmp_path):
    parsl = pytest.importorskip("parsl")
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    executor = HighThroughputExecutor(
        address="127.0.0.1", max_workers_per_node=2, provider=LocalProvider(init_blocks=1, max_blocks=1)
    )
    config = parsl.config.Config(executors=[executor], run_dir=str(tmp_path), usage_tracking=0)
    with parsl.load(config):
        # Parsl's workers do not import the tests
        found = run(ParslExecutor(status=False), fileset, make_processor(saved_tagger), PFNanoAODSchema)
    assert counts(found) == expected
    del executor, config
    gc.collect()


def _threads():
    from coffea_equitag.processor.attach import named_taggers

    named_taggers({})
    return torch.get_num_threads()


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("2", 2)])
def test_a_worker_scores_with_one_thread_unless_told_otherwise(monkeypatch, given, threads):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    with loky.ProcessPoolExecutor(1) as pool:
        assert pool.submit(_threads).result() == threads


def test_the_main_process_keeps_its_threads():
    before = torch.get_num_threads()
    assert _threads() == before
