"""How the demo model is made: data, tokenizer, network, training, export, evaluation."""
