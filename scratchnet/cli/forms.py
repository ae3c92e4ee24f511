"""Which dataclass each command reads its words into: the table behind completion, and behind the tests of all flags."""

import importlib

FORMS = {
    "demo": "demo:DemoArguments",
    "train": "train:TrainArguments",
    "evaluate": "evaluate:EvaluateArguments",
    "segment": "segment:SegmentArguments",
    "explain": "explain:ExplainArguments",
    "export": "export:ExportArguments",
    "models": "models:ModelsArguments",
    "gradcheck": "gradcheck:GradcheckArguments",
    "bench ops": "bench_arguments:OpsArguments",
    "bench step": "bench_arguments:StepArguments",
    "bench segment": "bench_arguments:SegmentArguments",
    "bench peers": "bench_arguments:PeersArguments",
    "data make": "data:MakeArguments",
    "data check": "data:FolderArguments",
    "data weights": "data:WeightsArguments",
    "completion": "completion:CompletionArguments",
}


def form(command: str) -> type:
    """Return the dataclass of a command of one or two words."""
    module, _, name = FORMS[command].partition(":")
    found: type = getattr(importlib.import_module(f"scratchnet.cli.{module}"), name)
    return found
