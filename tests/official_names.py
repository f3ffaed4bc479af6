"""The state dicts of our networks under the names, and in the shapes, that the official codes save them in."""

from __future__ import annotations

import re

import torch


def lorentznet(model, prefix=""):
    """The official LorentzNet's."""
    rename = {"blocks": "LGEBs", "head": "graph_dec"}
    return {
        prefix + ".".join([rename.get(name.split(".")[0], name.split(".")[0]), *name.split(".")[1:]]): value
        for name, value in model.state_dict().items()
    }


#: Ours -> the official names, for checkpoints without the package that wrote them.
_LGATR = (
    (r"^embedding\.", "linear_in."),
    (r"^head\.", "linear_out.linear_s."),
    (r"^vector_head\.weight", "linear_out.weight_v"),
    (r"first_norm\.(.).*", r"norm1.weight_\1"),
    (r"second_norm\.(.).*", r"norm2.weight_\1"),
    (r"attention\.inputs", "attention.linear_in"),
    (r"attention\.outputs", "attention.linear_out"),
    (r"perceptron\.gates\.(\d+)", r"mlp.layers.\1"),
    (r"perceptron\.outputs", "mlp.layers.{last}"),
    (r"vectors\.weight", "weight_v"),
    (r"\.scalars\.(weight|bias)", r".linear_s.\1"),
)


def lgatr_slim(model, prefix="net.", dropout=False):
    """The network as the official package stores it, with the weights that have no effect."""
    layers, last = model.options["mlp_layers"], model.options["n_layers"] - 1
    state = {}
    for name, value in model.state_dict().items():
        for ours, official in _LGATR:
            name = re.sub(ours, official.replace("{last}", str(layers - 1)), name)
        state[name] = value
    if model.output == "classes":
        first = state[f"blocks.{last - 1}.norm2.weight_v"]
        unseen = {name: value for name, value in state.items() if f"blocks.{last - 1}.mlp" in name}
        unseen = {name: value for name, value in unseen.items() if name.endswith("weight_v")}
        state |= {name.replace(f"blocks.{last - 1}.", f"blocks.{last}."): value for name, value in unseen.items()}
        state |= {f"blocks.{last}.norm2.weight_v": first, "linear_out.weight_v": first.new_zeros(0, len(first))}
    if dropout:
        state = {
            re.sub(r"mlp\.layers\.(\d+)", lambda found: f"mlp.layers.{2 * int(found[1])}", name): value
            for name, value in state.items()
        }
    return {prefix + name: value for name, value in state.items()}


def lloca_transformer(model):
    """The state dict of a network as the authors would have saved it."""
    scalars, vectors, tensors = (model.options[name] for name in ("scalars", "vectors", "tensors"))
    size = scalars + 4 * vectors + 16 * tensors
    found = {"net.attention.transform.parity_odd": torch.zeros(1, size, dtype=torch.bool)}
    for name, value in model.state_dict().items():
        part, *rest = name.split(".")
        if part == "frames" and rest[0].startswith("edge"):
            name = f"framesnet.equivectors.block.{rest[0]}"
        elif part == "frames":
            index = 0 if rest[0] == "first" else 2 * (int(rest[1]) + 1) // 3
            name = f"framesnet.equivectors.block.mlp.mlp.{index}.{rest[-1]}"
        elif part == "blocks":
            name = "net." + name.replace("attention.qkv.", "attention.qkv_linear.linear.")
            name = name.replace("attention.out.", "attention.out_linear.")
        else:
            name = f"net.linear_{'in' if part == 'embedding' else 'out'}.{rest[0]}"
        found[name] = value
    return found | {"framesnet.equivectors.block.edge_inited": torch.tensor(True)}


#: Ours to weaver's.
_WEAVER = {
    "particlenet": (
        (r"^input_norm\.", "bn_fts."),
        (r"^blocks\.", "edge_convs."),
        (r"\.linears\.", ".convs."),
        (r"\.norms\.", ".bns."),
        (r"\.shortcut\.0\.", ".sc."),
        (r"\.shortcut\.1\.", ".sc_bn."),
        (r"^fusion\.", "fusion_block."),
    ),
    "pfn": ((r"^input_norm\.", "input_bn."),),
}


def weaver(model, prefix="mod.", fine_tuned=False):
    """The state dict of a network as weaver would have saved it."""
    found, per_block = {}, {"head": 3, "f": 2}
    last = len(model.head if model.kind == "particlenet" else model.f) - 1
    for name, value in model.state_dict().items():
        part, *rest = name.split(".")
        if part in per_block:
            index = int(rest[0])
            name = f"fc.{index // per_block[part]}.{'' if index == last else '0.'}{rest[1]}"
            if fine_tuned and index == last:
                found[f"fc_out.{rest[1]}"] = value
                continue
        elif part == "phi":
            name = f"phi.{int(rest[0]) // 3}.{int(rest[0]) % 3}.{rest[1]}"
        for pattern, official in _WEAVER[model.kind]:
            name = re.sub(pattern, official, name)
        convolution = re.search(r"convs\.\d+\.weight|\.sc\.weight|phi\.\d+\.0\.weight|fusion_block\.0\.weight", name)
        if convolution:
            value = value[..., None, None] if ".convs." in name else value[..., None]
        found[prefix + name] = value
    return found


#: Ours to weaver's.
_PARTICLE_TRANSFORMER = (
    (r"^embedding\.0\.", "embed.input_bn."),
    (r"^embedding\.(\d+)", lambda match: f"embed.embed.{int(match[1]) - 1}"),
    (r"^pair_bias\.", "pair_embed."),
    (r"^class_blocks\.", "cls_blocks."),
    (r"^class_token$", "cls_token"),
    (r"\.attention\.", ".attn."),
    (r"\.before\.", ".pre_attn_norm."),
    (r"\.after\.0\.", ".post_attn_norm."),
    (r"\.feed_forward\.0\.", ".pre_fc_norm."),
    (r"\.feed_forward\.1\.", ".fc1."),
    (r"\.feed_forward\.4\.", ".post_fc_norm."),
    (r"\.feed_forward\.5\.", ".fc2."),
    (r"\.head_scale$", ".c_attn"),
    (r"\.residual_scale$", ".w_resid"),
)


def particle_transformer(model, prefix="mod.", *, packed=False, fine_tuned=False):
    """The state dict as weaver would have saved it; `packed` as the versions that used torch's own attention."""
    found, last = {}, len(model.head) - 1
    for name, value in model.state_dict().items():
        for pattern, official in _PARTICLE_TRANSFORMER:
            name = re.sub(pattern, official, name)
        if packed:
            name = re.sub(r"in_proj\.(weight|bias)", r"in_proj_\1", name)
        if name.startswith("head."):
            index = int(name.split(".")[1])
            name = f"fc.{index // 3}.{'' if index == last else '0.'}{name.split('.')[2]}"
        elif re.fullmatch(r"pair_embed\.embed\.\d+\.weight", name) and value.ndim == 2:
            value = value[..., None]
        elif name == "cls_token":
            value = value[None, None]
        # the example of fine-tuning keeps its classifier beside the network
        found[("" if fine_tuned and name.startswith("fc.") else prefix) + name] = value
    return found


def pelican(model):
    """The state under the official code's names, for configurations without a fixture."""
    inverse = {}
    for name, value in model.state_dict().items():
        official = name.replace("embedding.", "linear.").replace("encoder.alpha", "input_encoder.rank2_alphas")
        end = "1" if model.options["output"] == "momentum" else "0"
        official = official.replace("messages.5.", f"msg_2to{end}.").replace("messages.", "net2to2.message_layers.")
        official = official.replace("blocks.", "net2to2.eq_layers.").replace("readout.", f"agg_2to{end}.")
        official = official.replace("head.1.", f"mlp_out{'_1' if end == '1' else ''}.linear.0.")
        official = official.replace("scalars_to_pairs.", "eq1to2.").replace(".norm.", ".normlayer.")
        official = official.replace("mixing.coefficients", "coefs").replace("power.exponent", "alphas.0")
        for ours, theirs in (
            ("operation_of_input", "coefs00"),
            ("operation_of_output", "coefs01"),
            ("channels_by_input", "coefs10"),
            ("channels_by_output", "coefs11"),
        ):
            official = official.replace(f"mixing.{ours}", theirs)
        official = official.replace("diagonal_bias", "diag_bias")
        if "layers" in official or "msg" in official:
            official = official.replace(".linear.", ".linear.0.")
        inverse[official] = value[None] if official.endswith("alphas.0") else value
    return inverse
