"""Search for options of a training with Optuna."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pydantic

from ..atomic_file import make_folder, write_atomic
from ..errors import TaggerError, explain
from ..validation import faults
from .run_config import RunConfig
from .search_space import SearchSpace
from .train import train, untrained

__all__ = ["SearchResult", "search"]


@dataclass(frozen=True)
class SearchResult:
    """The best of the trials.

    Attributes
    ----------
    config : RunConfig
        Its configuration, also in ``best.yaml``.
    value : float
        Its monitored metric.
    num_trials : int
        Trials in the folder, those of earlier calls included.
    """

    config: RunConfig
    value: float
    num_trials: int


def search(config: RunConfig, keys: Mapping[str, Any], *, trials: int = 20, progress: bool = True) -> SearchResult:
    """Train with different options, and find those with the best monitored validation metric.

    Optuna's sampler (TPE, seeded) chooses the values. The trials are runs of their own, ``output/trial-0``,
    ``trial-1``, ..., which `coffea_equitag.training.comparison.compare_runs` understands; ``output/search.db`` is the
    study: the same call again continues it until it has `trials` trials, and trains an unfinished one to its end.

    Parameters
    ----------
    config : RunConfig
        What all trials have in common; of one seed.
    keys : mapping
        Key of the configuration (``learning_rate``, ``options.hidden``, ``recipe.gradient_clip``) -> list of values, or
        ``{"low": 1e-4, "high": 1e-2, "log": True}``.
    trials : int
        Number of trials in all.
    progress : bool
        As in `fit`.

    Raises
    ------
    TaggerError
        Without Optuna; for keys or values that cannot be searched; and as `train`.
    """
    if find_spec("optuna") is None:
        raise TaggerError(explain("no package optuna", "optuna >= 4", "pip install 'coffea-equitag[search]'"))
    space = _space(config, keys)
    if trials < 1 or config.seeds != 1:
        raise TaggerError(
            explain(f"trials = {trials}, seeds = {config.seeds}", "at least one trial, of one seed", "change them")
        )
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    folder = make_folder(config.output)
    study = optuna.create_study(
        storage=f"sqlite:///{(folder / 'search.db').resolve()}",
        study_name="search",
        load_if_exists=True,
        direction="minimize" if config.monitor == "loss" else "maximize",
        sampler=optuna.samplers.TPESampler(seed=config.seed),
    )
    finished = optuna.trial.TrialState.COMPLETE
    while len(study.get_trials(states=(finished,))) < trials:
        running = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        trial = optuna.trial.Trial(study, running[0]._trial_id) if running else study.ask()
        one = _configured(config, space.suggest(trial), folder / f"trial-{trial.number}")
        study.tell(trial, train(one, progress=progress)[0].card.metrics[config.monitor])
    best = study.best_trial
    chosen = _configured(config, best.params, folder / "best")
    write_atomic(folder / "best.yaml", chosen.to_yaml().encode())
    return SearchResult(chosen, float(study.best_value), len(study.get_trials(states=(finished,))))


def _space(config: RunConfig, keys: Mapping[str, Any]) -> SearchSpace:
    try:
        space = SearchSpace(keys=dict(keys))
    except pydantic.ValidationError as error:
        raise TaggerError(
            explain(
                f"a search with {faults(error)}",
                "keys of the configuration, and for each a list of values or low, high and perhaps log",
                "write e.g. learning_rate: {low: 1e-4, high: 1e-2, log: true}",
            )
        ) from error
    fixed = {"data", "output", "seeds", "seed", "monitor", "validation", "labels"} & {key.split(".")[0] for key in keys}
    if fixed:
        raise TaggerError(
            explain(f"a search over {', '.join(sorted(fixed))}", "options of the network or the training", "fix them")
        )
    for key, wanted in space.keys.items():
        for value in wanted if isinstance(wanted, list) else [wanted.low, wanted.high]:
            one = _configured(config, {key: value}, Path(config.output))
            if key.startswith("options."):
                untrained(one)  # a trial that fails later would be taken up again
    return space


def _configured(config: RunConfig, values: dict[str, Any], output: Path) -> RunConfig:
    return RunConfig.from_mapping(
        SearchSpace.applied(config.model_dump(), values) | {"output": str(output)}, "a trial of the search"
    )
