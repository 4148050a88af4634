"""A trained model as files that run without torch, by ONNX Runtime; wants the extra `export`."""
