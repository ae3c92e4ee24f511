"""Files that look like onnxruntime-web, for tests that run no network."""

from scratchnet.visualization.web_app.runtime import SCRIPT, WASM


def write_runtime(folder, version="1.30.0", exports="export{a as InferenceSession,b as Tensor,c as env};"):
    """Write ``node_modules/onnxruntime-web`` below a folder and return the package's folder."""
    package = folder / "node_modules" / "onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    banner = f"/*!\n * ONNX Runtime Web v{version}\n */\n"
    text = f"{banner}var a=1,b=2,c=import.meta.url;{exports}\n//# sourceMappingURL=x.mjs.map\n"
    (package / "dist" / SCRIPT).write_text(text, "utf-8")
    (package / "dist" / WASM).write_bytes(b"\0asm\1\0\0\0")
    return package
