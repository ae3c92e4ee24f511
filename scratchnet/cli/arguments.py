"""The dataclass of each command's arguments, for completion and for the tests of all flags."""

import importlib

from scratchnet.cli.bench import HARNESS

ARGUMENTS = {
    "demo": "demo:DemoArguments",
    "train": "train:TrainArguments",
    "evaluate": "evaluate:EvaluateArguments",
    "segment": "segment:SegmentArguments",
    "measure": "measure:MeasureArguments",
    "explain": "explain:ExplainArguments",
    "export": "export:ExportArguments",
    "models": "models:ModelsArguments",
    "gradcheck": "gradcheck:GradcheckArguments",
    "exercise list": "exercise:ListArguments",
    "exercise start": "exercise:StartArguments",
    "exercise check": "exercise:CheckArguments",
    "exercise grade": "exercise:GradeArguments",
    "data make": "data:MakeArguments",
    "data check": "data:CheckArguments",
    "data weights": "data:WeightsArguments",
    "data import": "data_import:ImportArguments",
    "data suggest": "data_suggest:SuggestArguments",
    "completion": "completion:CompletionArguments",
}

if HARNESS.is_dir():
    ARGUMENTS |= {
        "bench ops": "benchmarks.harness.arguments:OpsArguments",
        "bench step": "benchmarks.harness.arguments:StepArguments",
        "bench segment": "benchmarks.harness.arguments:SegmentArguments",
        "bench peers": "benchmarks.harness.arguments:PeersArguments",
    }


def arguments_of(command: str) -> type:
    """Return the dataclass of a command, whose name is one or two words."""
    module, _, name = ARGUMENTS[command].partition(":")
    found: type = getattr(importlib.import_module(module if "." in module else f"scratchnet.cli.{module}"), name)
    return found
