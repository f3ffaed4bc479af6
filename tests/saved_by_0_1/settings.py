"""What `save` built and trained."""

from __future__ import annotations

#: Name of the tagger -> kind and options.
TAGGERS = {
    "lorentznet": ("lorentznet", {"hidden": 6, "n_layers": 2}),
    "lorentznet_pid": ("lorentznet", {"hidden": 4, "n_layers": 2, "pid": True, "clamp": 100.0, "n_classes": 3}),
    "lorentznet_free": (
        "lorentznet",
        {"hidden": 4, "n_layers": 3, "beams": False, "n_scalar": 3, "mass_noise": True, "c_weight": 1e-3},
    ),
    "lorentznet_momentum": ("lorentznet", {"hidden": 4, "n_layers": 2, "output": "momentum"}),
    "lorentznet_base": ("lorentznet_base", {"hidden": 4, "n_layers": 2}),
    "lorentznet_base_patches": (
        "lorentznet_base",
        {"hidden": 4, "n_layers": 2, "pairwise": "mass", "nodewise": "mass", "friends": (2, 3), "patch_width": 4},
    ),
    "pelican": ("pelican", {"size": (4, 3, 2)}),
    "pelican_input": (
        "pelican",
        {
            "size": (4, 3, 2),
            "symmetry": "se2",
            "method": "input",
            "factorize": False,
            "aggregation": "sum",
            "diagonal": False,
        },
    ),
    "pelican_safe": ("pelican", {"size": (4, 3, 2), "symmetry": "so13", "irc_safe": True, "n_classes": 3}),
    "pelican_momentum": (
        "pelican",
        {"size": (4, 3, 2), "output": "momentum", "fields": ("pdgId", "charge"), "mean_count": 20.0},
    ),
    "lgn": ("lgn", {"levels": 2, "channels": (2, 3, 2), "n_bells": 4}),
    "lgn_vectors": ("lgn", {"levels": 2, "channels": 2, "maxdim": 2, "beams": False, "n_bells": 4}),
    "lgn_momentum": ("lgn", {"levels": 1, "channels": (2, 2), "output": "momentum", "n_bells": 4}),
    "particlenet": ("particlenet", {"lite": True, "k": 4, "pairwise": "delta_r", "patch_width": 4}),
    "pfn": ("pfn", {"phi": (12, 8), "f": (8,), "batch_norm": True}),
    "pfn_btag": ("pfn", {"phi": (12, 8), "f": (8,), "inputs": "btag", "n_classes": 3}),
    "pfn_friends": ("pfn", {"phi": (12, 8), "f": (8,), "nodewise": "energy", "friends": (2, 4), "patch_width": 3}),
    "pfn_float64": ("pfn", {"phi": (12, 8), "f": (8,)}),
    "vector_pfn": ("vector_pfn", {"features": 3, "latent": 3, "mlp": (8,), "f_layers": 2}),
    "vector_pfn_vector": ("vector_pfn", {"features": 3, "output": "vector", "phi_layers": 1, "mlp": (8,)}),
    "tensor_pfn": ("tensor_pfn", {"features": 2, "mlp": (8,), "f_layers": 2}),
    "tensor_pfn_relu": ("tensor_pfn", {"features": 2, "mlp": (8,), "f_layers": 1, "scalar_activation": "relu"}),
}

#: Settings of ``runs/finished`` and ``runs/interrupted``; without dropout, whose random numbers differ among machines.
MODEL = {"hidden": 4, "n_layers": 1, "dropout": 0.0}
SETTINGS = {
    "epochs": 3,
    "batch_size": 12,
    "learning_rate": 5e-3,
    "pair_budget": 1_000_000,
    "seed": 4,
    "device": "cpu",
    "save_every": 0,
    "progress": False,
}

#: Model and settings of ``runs/pfn``.
PFN_MODEL = {"n_classes": 3, "phi": (8, 6), "f": (6,), "batch_norm": True}
PFN_SETTINGS = {
    "labels": "flavour",
    "validation": 0.25,
    "epochs": 2,
    "batch_size": 10,
    "pool": 2,
    "class_weights": "balanced",
    "recipe": {"optimizer": "adamw", "warmup": 1, "gradient_clip": 1.0},
    "learning_rate": 2e-3,
    "weight_decay": 1e-4,
    "precision": "bf16-mixed",
    "monitor": "auc",
    "seed": 7,
    "device": "cpu",
    "progress": False,
    "save_every": 0,
    "name": "flavours",
    "classes": ("light", "c", "b"),
    "signal": "c",
    "data": "toy jets",
    "jet_definition": "none: drawn from a cone",
}
