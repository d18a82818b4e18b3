"""GPT-2: from a checkpoint to tokens, without TensorFlow."""
