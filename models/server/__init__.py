"""What all models behind servers share, whatever the protocol."""
