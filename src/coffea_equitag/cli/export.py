"""``equitag export TAGGER OUT``."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tagger", help="folder of a tagger or of a training run, its address, or a name in the zoo")
    parser.add_argument("output", metavar="OUT", help="m.onnx, m.pt2, or the folder of a Triton repository")
    parser.add_argument(
        "--format",
        choices=("onnx", "pt2", "cms", "triton"),
        help="default: what OUT says; cms is an ONNX file with the inputs that CMS's software passes",
    )
    parser.add_argument(
        "--coordinates",
        choices=("polar", "cartesian"),
        default="polar",
        help="momenta as (pT, eta, phi, m) or (px, py, pz, m) (default: %(default)s)",
    )
    parser.add_argument(
        "--own-momenta",
        action="store_true",
        help="the file takes the jets' momenta, too (default: they are the sums of the constituents')",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float64"),
        default="float32",
        help="of the network; invariants are in float64 (default: %(default)s)",
    )
    parser.add_argument("--compile", action="store_true", help="for .pt2: compile for this processor, by AOTInductor")
    parser.add_argument("--batch-size", type=int, metavar="N", help="for Triton: jets per request (default: 64)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what the file takes and how exact it is."""
    from ..export import export
    from ..tagger import load

    made = export(
        load(arguments.tagger, "cpu"),
        arguments.output,
        arguments.format,
        coordinates=arguments.coordinates,
        own_momenta=arguments.own_momenta,
        precision=arguments.precision,
        compile=arguments.compile,
        batch_size=arguments.batch_size,
        overwrite=arguments.overwrite,
    )
    print(f"{made.path}: {made.format}")
    for kind, ports in (("input", made.inputs), ("output", made.outputs)):
        for port in ports:
            shape = ", ".join(map(str, port.shape))
            print(f"  {kind} {port.name}: {port.dtype} ({shape}), {port.meaning}{f' [{port.unit}]' * bool(port.unit)}")
    found = made.verification
    print(f"  verified on {found.jets} jets: largest deviation {found.deviation:.1e} from the layers in float64")
    return 0
