"""What Triton's compiler makes of the kernels for Hopper GPUs; no GPU is needed for that."""

from __future__ import annotations

import os

import pytest

triton = pytest.importorskip("triton", reason="Triton is not installed")

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from coffea_equitag.kernels.common.gpu import (  # noqa: E402
    dense,
    friend_groups,
    head_rows,
    pool,
    ragged_attention,
    ragged_attention_gradient,
    row_layers,
    tiles,
    token_attention,
)
from coffea_equitag.kernels.common.gpu import pair_products as products  # noqa: E402
from coffea_equitag.kernels.lgatr_slim.gpu import gate as slim_gate  # noqa: E402
from coffea_equitag.kernels.lgatr_slim.gpu import heads as slim_heads  # noqa: E402
from coffea_equitag.kernels.lgatr_slim.gpu import norm as slim_norm  # noqa: E402
from coffea_equitag.kernels.lgn.gpu import forward as lgn_pairs  # noqa: E402
from coffea_equitag.kernels.lgn.gpu import mixing as lgn_mixing  # noqa: E402
from coffea_equitag.kernels.lgn.gpu import weights as lgn_weights  # noqa: E402
from coffea_equitag.kernels.lloca_transformer.gpu import carry as lloca_carry  # noqa: E402
from coffea_equitag.kernels.lloca_transformer.gpu import frame_sums as lloca_frames  # noqa: E402
from coffea_equitag.kernels.lloca_transformer.gpu import pair_network as lloca_pairs  # noqa: E402
from coffea_equitag.kernels.lloca_transformer.gpu import pair_rows as lloca_rows  # noqa: E402
from coffea_equitag.kernels.lloca_transformer.gpu import pair_tiles as lloca_tiles  # noqa: E402
from coffea_equitag.kernels.lorentznet.gpu import backward as lorentznet_backward  # noqa: E402
from coffea_equitag.kernels.lorentznet.gpu import (  # noqa: E402
    clamp,
    edge_scalars,
    edge_scalars_gradient,
    edge_statistics,
    edge_statistics_gradient,
    gram_step,
)
from coffea_equitag.kernels.lorentznet.gpu import forward as lorentznet_forward  # noqa: E402
from coffea_equitag.kernels.lorentznet.gpu import weights as lorentznet_weights  # noqa: E402
from coffea_equitag.kernels.lorentznet.scalar_kinds import DELTA_R, INTERVAL, MASS, NOTHING  # noqa: E402
from coffea_equitag.kernels.particle_transformer.gpu import pair_bias as transformer_pairs  # noqa: E402
from coffea_equitag.kernels.particle_transformer.gpu import pair_layers, pair_squares  # noqa: E402
from coffea_equitag.kernels.particle_transformer.gpu import weights as transformer_weights  # noqa: E402
from coffea_equitag.kernels.particlenet.gpu import forward as edge_conv  # noqa: E402
from coffea_equitag.kernels.particlenet.gpu import nearest  # noqa: E402
from coffea_equitag.kernels.particlenet.gpu import weights as particlenet_weights  # noqa: E402
from coffea_equitag.kernels.pelican.gpu import backward as pair_gradient  # noqa: E402
from coffea_equitag.kernels.pelican.gpu import blocks as pair_blocks  # noqa: E402
from coffea_equitag.kernels.pelican.gpu import encoder_gradient  # noqa: E402
from coffea_equitag.kernels.pelican.gpu import forward as pair_messages  # noqa: E402
from coffea_equitag.kernels.pelican.gpu import kernel_arguments as pairs_of  # noqa: E402
from coffea_equitag.kernels.pelican.gpu.weights import Message, NodeTerms  # noqa: E402
from coffea_equitag.kernels.tensor_pfn.gpu import forward as tensor_layers  # noqa: E402
from coffea_equitag.kernels.tensor_pfn.gpu import weights as tensor_weights  # noqa: E402

#: Bytes of shared memory that a block may have on an H100 or H200.
SHARED = 227 * 1024

POINTERS = {
    "fp64": {
        "coordinates",
        "gram",
        "pushed",
        "source",
        "p4",
        "mass",
        "polar",
        "before",
        "after",
        "c_weight",
        "products",
        "row",
        "column",
        "priority",
        "planes",
        "other",
    },
    "i64": {"offsets", "pairs"},
    "i32": {"tile_jet", "tile_first", "senders", "first", "left", "right"},
}
NUMBERS = {
    "x_stride", "out_stride", "rows", "depth", "width", "stride", "totals_stride", "narrow", "encoded",
    "dimensions", "shortcut_stride", "nodes", "channel", "channels", "channels_out",
    "jets", "out_node", "out_part", "out_row", "out_channel",
}  # fmt: skip

JETS = {"RECEIVERS": 16}
JET_TILES = tiles.JetTiles("*i64", "*i64", "*i32", "*i32")
LGN_PAIRS = {
    "factor": "fp32",
    "bells": lgn_weights.Bells("*fp32", "*fp32"),
    "tiles": JET_TILES,
    "shape": lgn_pairs.LevelShape("i32", "i32", "i32", "i32"),
}
LGN_NODES = {
    "terms": lgn_weights.Terms("*i32", "*i32", "*i32", "*fp64"),
    "rows": "*i32",
    **dict.fromkeys(("weight", "out"), "*fp64"),
}
MATRICES = {"ROWS": 16, "COLUMNS": 32, "DEPTH": 16}
CLAMP = {"ROWS": 16, "COLUMNS": 32}
GRAD_VECTORS = clamp.GradVectors(*["*fp64"] * 4)
OF_NODES = {"OF_BATCH": True, "CHANNELS": 80}
NODE_GRADIENTS = edge_statistics_gradient.NodeGradients("*fp32", "*fp32", "*fp32")
SCALAR_TERMS = edge_statistics_gradient.ScalarTerms("*fp64", "*fp64")
LORENTZNET_EDGES = {"KIND": INTERVAL, "UPDATES_VECTORS": True, "A": 64, "B": 16}
SCALARS = {"ROWS": 16, "COLUMNS": 32}
LORENTZNET = {
    "tiles": JET_TILES,
    "weights": lorentznet_weights.EdgeWeights(*["*fp32"] * 8),
    "transposed": lorentznet_weights.TransposedWeights("*fp32", "*fp32"),
    "out": lorentznet_forward.EdgeSums("*fp32", "*fp32", "*fp64"),
    "grads": lorentznet_backward.EdgeGradients("*fp32", "*fp32", "*fp32", "*fp32"),
    "mixing": gram_step.Mixing("*fp32", "*fp64", "*fp64"),
    "step": clamp.ClampedStep("*fp32", *["*fp64"] * 4),
    "sums": edge_statistics.PairSums("*fp64", "*fp64", "*fp64"),
    "norm": edge_statistics.Norm("*fp32", "*fp32", "*fp32", "*fp32", "*fp64"),
    "terms": SCALAR_TERMS,
    **dict.fromkeys(("above", "mixed", "rows", "statistics", "grad_sums"), "*fp64"),
    **dict.fromkeys(("nodes", "hidden", "num_pairs", "num_tiles"), "i32"),
    "shares": "*i64",
}
#: Arguments of PELICAN's kernels, those in NamedTuples by the NamedTuple's name.
PAIRS = {
    "encoder": pairs_of.Encoder("*fp64", *["*fp32"] * 3),
    "given": pairs_of.Entering(*["*fp32"] * 4),
    "transposed": pairs_of.Transposed(*["*fp32"] * 3),
    "arriving": pairs_of.Arriving(*["*fp32"] * 4),
    "jets": tiles.JetTiles("*i64", "*i64", "*i32", "*i32"),
    **dict.fromkeys(("sums", "moments", "row", "column"), "*fp64"),
    **dict.fromkeys(("nodes", "tiles", "threshold", "threshold_after"), "i32"),
    **dict.fromkeys(("key", "key_after"), "i64"),
    "shares": "*i64",
}
PAIRS_IN_INFERENCE = PAIRS | {"terms": NodeTerms(*["*fp32"] * 3), "layer": Message(*["*fp32"] * 4)}
PAIRS_IN_TRAINING = PAIRS | {"layer": pairs_of.Linear("*fp32", "*fp32")}


def shape(depth, narrow, wide, senders, receivers=16, inputs=1):
    return {"SHAPE": pairs_of.Shape("tf32x3", depth, narrow, wide, 32, inputs, 9, senders, receivers)}


HEAD_ROWS = head_rows.HeadRows("*fp32", "i32", "i32")
ATTENTION = {
    "tiles": JET_TILES,
    "softmax": head_rows.Softmax("*fp32", "*fp32"),
    **dict.fromkeys(
        ("query", "own_keys", "own_values", "keys", "values", "grad", "out", "grad_query", "grad_keys", "grad_values"),
        HEAD_ROWS,
    ),
    **dict.fromkeys(("scale", "grown"), "fp32"),
    **dict.fromkeys(("key", "threshold"), "i64"),
}


def attention(precision="tf32x3", depth=16, bias=True):
    return {"SHAPE": head_rows.AttentionShape(precision, 8, depth, depth, bias, drop=bias)}


SLIM_NORM = {"V": 32, "S": 96, "ROWS": 16}
SLIM_HEADS = {"HEADS": 8, "V": 4, "S": 12, "ROWS": 64}
SLIM_GATE = {"ROWS": 16, "WIDTH": 64}
LLOCA = {
    "tiles": lloca_tiles.PairTiles("*i64", "*i64", "*i64", "*i32", "*i32"),
    "weights": lloca_pairs.PairWeights(*["*fp32"] * 5),
    "softmax": lloca_pairs.PairLogits(*["*fp32"] * 4),
    **dict.fromkeys(("share", "vectors", "squares", "grad_vectors", "grad_squares"), "*fp64"),
    **dict.fromkeys(("mean", "std"), "fp32"),
    **dict.fromkeys(("num", "num_pairs", "begin_pair"), "i32"),
}
LLOCA_PAIRS = {"REFERENCES": 3} | JETS
LLOCA_HEADS = {"GROUPS": 3, "HEADS": 8, "S": 8, "V": 2}
ROW_LAYER = {"NORM": True, "ACTIVATION": "gelu", "AFTER": False, "ADD": False, "SCALED": False} | {
    "PRECISION": "tf32x3", "ROWS": 64, "DEPTH": 32, "WIDTH": 64,
}  # fmt: skip
ROW_NUMBERS = dict.fromkeys(("epsilon", "epsilon_after"), "fp32") | dict.fromkeys(("shortcut", "scale"), "*fp32")
PAIR_BIAS = {"LAYERS": 2, "HEADS": 8, "SELF": False, "ACTIVATION": True, "PRECISION": "tf32x3", "BH": 16} | JETS
PAIR_TRAINING = {"ACTIVATION": True, "PRECISION": "tf32x3", "ROWS": 64, "K": 64, "M": 64, "BK": 64, "BM": 64}
PAIR_SQUARES = {"ACTIVATION": True, "SELF": False, "HEADS": 8, "BH": 8, "COLUMNS": 16} | JETS
PAIR_ROWS = {
    "out": pair_layers.LayerGrads("*fp32", "*fp32", "*fp64", "*fp64"),
    "moments": "*fp64",
    **dict.fromkeys(("norm", "step", "grad"), "*fp32"),
}
SQUARES = {"tiles": JET_TILES, "first": "*i64", "sums": "*fp64", **dict.fromkeys(("norm", "grad"), "*fp32")}
PAIR_LAYERS = transformer_weights.PairLayers(*["*fp32"] * 6)
TENSORS = {"THIRDS": 3, "LOGARITHMIC": True, "PRECISION": "tf32x3"}
WIDE = {"PRECISION": "tf32x3", "BI": 4, "BJ": 16} | JETS
KERNELS = {
    "edges": (lorentznet_forward.edges_kernel, LORENTZNET_EDGES | WIDE, LORENTZNET),
    "edges-without-scalars": (
        lorentznet_forward.edges_kernel,
        LORENTZNET_EDGES | {"KIND": NOTHING, "UPDATES_VECTORS": False} | WIDE,
        LORENTZNET,
    ),
    "edges-delta-r": (lorentznet_forward.edges_kernel, LORENTZNET_EDGES | {"KIND": DELTA_R} | WIDE, LORENTZNET),
    "edges-bf16": (lorentznet_forward.edges_kernel, LORENTZNET_EDGES | WIDE | {"PRECISION": "bf16"}, LORENTZNET),
    "similarity": (gram_step.similarity_kernel, {"RIGHT": True, "TRANSPOSED": True} | MATRICES, LORENTZNET),
    "clamped-vectors": (clamp.clamped_vectors_kernel, CLAMP, LORENTZNET),
    "clamped-gram": (clamp.clamped_gram_kernel, CLAMP, LORENTZNET),
    "clamp-grad-vectors": (clamp.grad_vectors_kernel, CLAMP, LORENTZNET | {"grads": GRAD_VECTORS}),
    "clamp-grad-pairs": (
        clamp.grad_pairs_kernel,
        CLAMP,
        LORENTZNET | {"grads": GRAD_VECTORS, "grad_phi_x": "*fp32"},
    ),
    "grad-phi-x": (gram_step.grad_phi_x_kernel, MATRICES, LORENTZNET | {"out": "*fp32"}),
    "edges-backward": (
        lorentznet_backward.edges_backward_kernel,
        {"SCALARS": True, "SUMS": 64} | LORENTZNET_EDGES | WIDE,
        LORENTZNET | {"above": lorentznet_backward.GradSums("*fp32", "*fp32")},
    ),
    "edge-weights": (
        lorentznet_weights.pack_kernel,
        {"UPDATES_VECTORS": True, "CHANNELS": 80, "ROWS": 16, "WIDTH": 128},
        {"hidden": "i32"},
    ),
    "edge-scalars": (edge_scalars.edge_scalars_kernel, SCALARS | {"KIND": INTERVAL}, LORENTZNET | {"out": "*fp32"}),
    "edge-scalars-mass": (edge_scalars.edge_scalars_kernel, SCALARS | {"KIND": MASS}, LORENTZNET | {"out": "*fp32"}),
    "scalar-sums": (edge_statistics.scalar_sums_kernel, SCALARS | {"KIND": INTERVAL}, LORENTZNET),
    "scalar-sums-delta-r": (edge_statistics.scalar_sums_kernel, SCALARS | {"KIND": DELTA_R}, LORENTZNET),
    "jet-sums": (edge_statistics.jet_sums_kernel, {"ROWS": 16, "WIDTH": 32}, LORENTZNET | {"out": "*fp64"}),
    "normalise": (
        edge_statistics.normalise_kernel,
        {"ROWS": 64, "WIDTH": 32} | OF_NODES,
        LORENTZNET | {"out": edge_statistics.Normalised("*fp32", "*fp32", "*fp64")},
    ),
    "gradient-sums": (
        edge_statistics_gradient.gradient_sums_kernel,
        {"CHANNELS": 80, "ROWS": 16, "WIDTH": 32} | JETS,
        LORENTZNET | {"grads": NODE_GRADIENTS, "out": "*fp64"},
    ),
    "nodes-backward": (
        edge_statistics_gradient.nodes_backward_kernel,
        {"ROWS": 8, "WIDTH": 128} | OF_NODES,
        LORENTZNET
        | {
            "grads": NODE_GRADIENTS,
            "vectors": "*fp64",
            "out": edge_statistics_gradient.NormGradients("*fp32", "*fp32", "*fp32", SCALAR_TERMS),
        },
    ),
    "gram-backward": (
        edge_scalars_gradient.gram_backward_kernel,
        {"KIND": INTERVAL, "OF_BATCH": True, "ADD": True} | SCALARS,
        LORENTZNET | {"out": "*fp64"},
    ),
    "coordinates-backward": (
        edge_scalars_gradient.coordinates_backward_kernel,
        {"KIND": DELTA_R, "OF_BATCH": True} | SCALARS,
        LORENTZNET | {"out": "*fp64"},
    ),
    "products": (products.products_kernel, {"POLAR": True, "SENDERS": 16} | JETS, {"out": "*fp64"}),
    "dense": (
        dense.dense_kernel,
        {"SLOPE": 0.0, "ADD": True, "PRECISION": "tf32x3", "ROWS": 64, "DEPTH": 16, "WIDTH": 64},
        {},
    ),
    "dense-float64": (
        dense.dense_kernel,
        {"SLOPE": 1.0, "ADD": False, "PRECISION": "ieee", "ROWS": 64, "DEPTH": 16, "WIDTH": 32},
        dict.fromkeys(("x", "weight", "bias", "out"), "*fp64"),
    ),
    "attention": (ragged_attention.attention_kernel, attention(), ATTENTION),
    "attention-wide": (ragged_attention.attention_kernel, attention(depth=128, bias=False), ATTENTION),
    "attention-queries-backward": (ragged_attention_gradient.queries_backward_kernel, attention(), ATTENTION),
    "attention-keys-backward": (
        ragged_attention_gradient.keys_backward_kernel,
        attention(depth=128, bias=False),
        ATTENTION,
    ),
    "attention-bf16": (ragged_attention.attention_kernel, attention("bf16"), ATTENTION),
    "token-attention": (
        token_attention.token_kernel,
        {"HEADS": 8, "SIZE": 16, "PADDED": 16, "COLUMNS": 64},
        ATTENTION | {"out": "*fp32"},
    ),
    "row-layer": (row_layers.row_layer_kernel, ROW_LAYER, ROW_NUMBERS),
    "row-layer-normalised": (
        row_layers.row_layer_kernel,
        ROW_LAYER | {"ACTIVATION": "none", "AFTER": True, "ADD": True, "WIDTH": 128},
        ROW_NUMBERS,
    ),
    "row-layer-bf16": (row_layers.row_layer_kernel, ROW_LAYER | {"PRECISION": "bf16"}, ROW_NUMBERS),
    **{
        f"pair-bias-{name}": (
            transformer_pairs.pair_bias_kernel,
            PAIR_BIAS | {"MOMENTA": kind == "*fp64", "WIDTH": width, "BI": 4, "BJ": 16},
            {
                "source": transformer_pairs.PairSource(kind, "*i64", kind, kind),
                "layers": PAIR_LAYERS,
                "tiles": JET_TILES,
            },
        )
        for name, kind, width in (("momenta", "*fp64", 64), ("features", "*fp32", 32))
    },
    "pair-layer": (pair_layers.layer_forward_kernel, PAIR_TRAINING, PAIR_ROWS | {"out": "*fp32"}),
    "pair-layer-backward": (pair_layers.layer_backward_kernel, PAIR_TRAINING, PAIR_ROWS),
    "to-squares": (pair_squares.to_squares_kernel, PAIR_SQUARES, SQUARES),
    "from-squares": (pair_squares.from_squares_kernel, PAIR_SQUARES, SQUARES),
    "pool": (pool.pool_kernel, {"MEAN": True, "ROWS": 16, "WIDTH": 32}, {}),
    "pelican-encoder": (
        pair_blocks.encoder_kernel,
        {"SCALARS": True} | shape(11, 16, 32, 16, 4),
        PAIRS_IN_INFERENCE,
    ),
    "pelican-block": (pair_blocks.block_kernel, shape(60, 64, 64, 16, 4), PAIRS_IN_INFERENCE),
    "pelican-largest-block": (pair_blocks.block_kernel, shape(128, 128, 160, 16, 4), PAIRS_IN_INFERENCE),
    "pelican-columns": (
        pair_blocks.columns_kernel,
        {"DEPTH": 60, "NARROW": 64, "COLUMNS": 16, "ROWS": 4},
        PAIRS_IN_INFERENCE,
    ),
    **{
        f"pelican-messages-{narrow}": (
            pair_messages.messages_kernel,
            {"FIRST": False, "TERMS": True, "DROP": True} | shape(narrow - 12, narrow, wide, 16, 4),
            PAIRS_IN_TRAINING,
        )
        for narrow, wide in ((64, 64), (128, 160))
    },
    "pelican-first-messages": (
        pair_messages.messages_kernel,
        {"FIRST": True, "TERMS": True, "DROP": False} | shape(36, 64, 64, 16, 4, 2),
        PAIRS_IN_TRAINING,
    ),
    "pelican-sums": (
        pair_messages.sums_kernel,
        {"DROP": True, "DEPTH": 36, "NARROW": 64, "OTHERS": 2},
        PAIRS_IN_TRAINING,
    ),
    "pelican-block-gradient": (
        pair_gradient.block_gradient_kernel,
        {"ARRIVES": True, "DROP": True, "DROP_AFTER": True} | shape(36, 64, 64, 4),
        PAIRS_IN_TRAINING | {"out": pairs_of.BlockGrads(*["*fp32"] * 6)},
    ),
    "pelican-encoder-gradient": (
        encoder_gradient.encoder_gradient_kernel,
        {"ARRIVES": True, "TERMS": True, "DROP_AFTER": True} | shape(36, 64, 64, 4, inputs=2),
        PAIRS_IN_TRAINING | {"out": pairs_of.EncoderGrads(*["*fp32"] * 5)},
    ),
    "pelican-sender-sums": (
        pair_gradient.sender_sums_kernel,
        {"WIDE": 64, "CHUNK": 32},
        PAIRS_IN_TRAINING,
    ),
    **{
        f"edge-conv{name}": (
            edge_conv.edge_conv_kernel,
            {"NEIGHBOURS": 16, "PHANTOMS": phantoms, "PRECISION": "tf32x3", "CHANNELS": 256, "CHUNK": 32}
            | {"BI": 4, "BK": 16, "EXTRA": extra, "BE": 16}
            | JETS,
            {"layers": particlenet_weights.EdgeLayers(*["*fp32"] * 4), "tiles": JET_TILES, "pairs": "*fp32"},
        )
        for name, phantoms, extra in (("", False, 0), ("-phantoms", True, 0), ("-pairs", False, 16))
    },
    "friends": (
        friend_groups.friends_kernel,
        {"MASS": True, "MEMBERS": 8, "WIDTH": 8, "LARGEST": 256, "BI": 4} | JETS,
        {"tiles": JET_TILES, "gram": "*fp64", "energy": "*fp64", "out": "*fp64"},
    ),
    "nearest": (
        nearest.nearest_kernel,
        {"NEIGHBOURS": 16, "LARGEST": 256, "BI": 4} | JETS,
        {"tiles": JET_TILES},
    ),
    "lgn-pairs": (
        lgn_pairs.pair_sums_kernel,
        {"SQUARES": False, "EXACT": True, "PRECISION": "ieee", "OWN": 32, "ALL": 64, "SENDERS": 16} | JETS,
        LGN_PAIRS,
    ),
    "lgn-products": (lgn_mixing.products_kernel, {"SQUARES": True, "NODES": 128}, LGN_NODES),
    "lgn-mixing": (lgn_mixing.mixing_kernel, {"OUT": 4, "NODES": 128}, LGN_NODES),
    "slim-norm": (slim_norm.norm_kernel, SLIM_NORM, {}),
    "slim-norm-backward": (slim_norm.norm_backward_kernel, SLIM_NORM, {}),
    "slim-heads": (slim_heads.heads_kernel, SLIM_HEADS, {}),
    "slim-heads-backward": (slim_heads.heads_backward_kernel, SLIM_HEADS, {}),
    "slim-vector-gate": (slim_gate.vector_gate_kernel, SLIM_GATE | {"KIND": "sigmoid"}, {}),
    "slim-vector-gate-backward": (slim_gate.vector_gate_backward_kernel, SLIM_GATE | {"KIND": "tanh"}, {}),
    "slim-scalar-gate": (slim_gate.scalar_gate_kernel, SLIM_GATE | {"KIND": "gelu_tanh"}, {}),
    "slim-scalar-gate-backward": (slim_gate.scalar_gate_backward_kernel, SLIM_GATE | {"KIND": "gelu"}, {}),
    "lloca-pairs": (
        lloca_pairs.pair_logits_kernel,
        {"KEEP": True, "LAYERS": 1, "WIDTH": 128, "PRECISION": "tf32x3", "BI": 4, "BJ": 16} | LLOCA_PAIRS,
        LLOCA | {"out": lloca_pairs.PairLogits(*["*fp32"] * 4)},
    ),
    "lloca-shares": (lloca_frames.shares_kernel, {"VECTORS": 3, "COLUMNS": 16} | LLOCA_PAIRS, LLOCA | {"out": "*fp64"}),
    "lloca-sums": (lloca_frames.sums_kernel, {"KEEP": True, "COLUMNS": 16} | LLOCA_PAIRS, LLOCA),
    "lloca-logit-gradients": (
        lloca_frames.logit_gradients_kernel,
        {"VECTORS": 3, "COLUMNS": 16} | LLOCA_PAIRS,
        LLOCA,
    ),
    "lloca-rows": (lloca_rows.rows_kernel, {"WIDTH": 128, "COLUMNS": 16} | LLOCA_PAIRS, LLOCA),
    "lloca-sender-sums": (
        lloca_rows.sender_sums_kernel,
        {"REFERENCES": 3, "WIDTH": 128, "COLUMNS": 16},
        {"rows": "*fp32", "begin_pair": "i32"},
    ),
    "lloca-carry": (lloca_carry.carry_kernel, {"T": 1, "TRANSPOSED": False, "ROWS": 32} | LLOCA_HEADS, {}),
    "lloca-matrices": (lloca_carry.matrix_gradient_kernel, {"T": 1, "NODES": 16} | LLOCA_HEADS, {}),
    **{
        f"tensor-layer-{real}-{complex_}": (
            tensor_layers.layer_kernel,
            {"GROUP": (real, complex_), "TILE": (64, 32, 16), "PRODUCTS": True, "COUNTED": False, "F": 64, "WIDTH": 64}
            | TENSORS,
            {"maps": tensor_weights.Maps("*fp32", "*fp32")},
        )
        for real, complex_ in ((3, 1), (4, 5))
    },
    "tensor-layer-float64": (
        tensor_layers.layer_kernel,
        {"GROUP": (4, 5), "TILE": (16, 32, 16), "PRODUCTS": False, "COUNTED": True, "F": 64, "WIDTH": 192}
        | TENSORS
        | {"PRECISION": "ieee"},
        dict.fromkeys(("x", "counts", "out"), "*fp64") | {"maps": tensor_weights.Maps("*fp64", "*fp64")},
    ),
    "tensor-sums": (
        tensor_layers.sums_kernel,
        {"THIRDS": 3, "LOGARITHMIC": True, "F": 64, "ROWS": 16, "WIDTH": 32},
        {"out": "*fp64"},
    ),
}


def type_of(name):
    if name in NUMBERS:
        return "i32"
    return "*" + next((kind for kind, names in POINTERS.items() if name in names), "fp32")


@pytest.mark.parametrize("name", KERNELS)
def test_compiles_for_hopper(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel, constants, types = KERNELS[name]
    arguments = {
        argument: "constexpr" if argument in constants else types.get(argument, type_of(argument))
        for argument in kernel.arg_names
    }
    source = ASTSource(kernel, arguments, constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 1})
    assert len(compiled.asm["cubin"]) > 0
    assert compiled.metadata.shared <= SHARED
    precision = constants["SHAPE"].precision if "SHAPE" in constants else constants.get("PRECISION")
    if precision in ("tf32x3", "bf16"):
        assert "wgmma.mma_async" in compiled.asm["ptx"]
