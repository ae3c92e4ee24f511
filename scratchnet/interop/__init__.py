"""The way in and out: weights of other libraries' files, their layouts and indices, ONNX files."""
