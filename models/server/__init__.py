"""What models behind servers have in common, whatever the protocol."""
