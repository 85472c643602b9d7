"""Quality is not the only axis: what each candidate costs, which ones are dominated, and smaller ones."""
