"""What CMS's software does with an exported file: ``BoostedJetONNXJetTagsProducer`` of RecoBTag/ONNXRuntime, in numpy.

Written from its source, and that of ``ParticleNetConstructor``, ``center_norm_pad`` (RecoBTag/FeatureTools) and
``cms::Ort::ONNXRuntime::run`` (PhysicsTools/ONNXRuntime): one jet per call, float32, as wide as preprocess.json says.
"""

from __future__ import annotations

import json

import numpy as np


class Producer:
    """``variables`` of each jet go in, a mapping of names to float32 arrays; one row of scores per jet comes out."""

    def __init__(self, model, preprocessing):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        # -1: a length that may vary; the first is the number of jets, 1
        self.shapes = {
            one.name: [1, *(length if isinstance(length, int) else -1 for length in one.shape[1:])]
            for one in self.session.get_inputs()
        }
        self.groups = json.loads(preprocessing.read_text())

    def __call__(self, jets):
        return np.stack([self.score(variables) for variables in jets])

    def score(self, variables):
        if not any(len(values) for values in variables.values()):
            return np.zeros(len(self.groups["output_names"]), np.float32)
        names = self.groups["input_names"]
        given = {name: self.group(self.groups[name], variables) for name in names}
        assert [one.type for one in self.session.get_inputs()] == ["tensor(float)"] * len(names)
        for name, (values, shape) in given.items():
            assert len(values) == np.prod(shape or self.shapes[name]), f"input array {name} has a wrong size"
        (scores,) = self.session.run(None, {name: values.reshape(shape) for name, (values, shape) in given.items()})
        assert scores.dtype == np.float32
        return scores[0]

    def group(self, group, variables):
        """All variables one after the other, and the shape that the runtime is told, if any."""
        fixed = group.get("var_length")
        shortest, longest = (fixed, fixed) if fixed else (group["min_length"], group["max_length"])
        rows = [
            self.padded(variables[name], group["var_infos"][name], shortest, longest) for name in group["var_names"]
        ]
        return np.concatenate(rows), None if fixed else (1, len(rows), len(rows[0]))

    def padded(self, values, info, shortest, longest):
        assert info["lower_bound"] <= info["pad"] <= info["upper_bound"]
        length = int(np.clip(len(values), shortest, longest))
        row = np.full(length, info["pad"], np.float32)
        values = values[:length]
        wild = ~np.isfinite(values) | (np.abs(values) > 1e32)
        values = (np.where(wild, info["replace_inf_value"], values) - info["median"]) * info["norm_factor"]
        row[: len(values)] = np.clip(values, info["lower_bound"], info["upper_bound"])
        return row
