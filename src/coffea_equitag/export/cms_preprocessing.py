"""``preprocess.json``, which tells CMS's software what to pass to a network, and how to shift and scale it."""

from __future__ import annotations

import json

from ..tagger import Tagger

__all__ = ["WIDTH", "preprocessing"]

#: The most constituents that CMS's software passes for a jet: the first ones in its order.
WIDTH = 128

#: As they are: the graph itself standardises.
_AS_IT_IS = {
    "median": 0,
    "norm_factor": 1,
    "replace_inf_value": 0,
    "lower_bound": -1e32,
    "upper_bound": 1e32,
    "pad": 0,
}


def preprocessing(tagger: Tagger, width: int = WIDTH) -> str:
    """JSON, as weaver writes it for ``BoostedJetONNXJetTagsProducer``.

    Each jet is passed as wide as it is, between ``min_length`` and ``max_length``: with one ``var_length`` the producer
    takes shapes from the file, where lengths vary, and stops.
    """
    groups = {
        "pf_vectors": ["pfcand_px", "pfcand_py", "pfcand_pz", "pfcand_energy"],
        "pf_mask": ["pfcand_mask"],
    }
    columns = tagger.card.contract.constituent_fields
    if columns:
        groups["pf_features"] = [f"pfcand_{name}" for name in columns]
    content = {
        "output_names": list(tagger.classes),
        "input_names": list(groups),
        **{
            group: {
                "var_names": names,
                "var_infos": dict.fromkeys(names, _AS_IT_IS),
                "min_length": 1,
                "max_length": width,
            }
            for group, names in groups.items()
        },
    }
    return json.dumps(content, indent=2) + "\n"
