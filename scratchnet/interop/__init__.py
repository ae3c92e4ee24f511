"""Exchange with other libraries: their weight files, memory layouts and pooling indices, and ONNX files."""
