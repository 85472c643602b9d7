"""What commands share: their help, arguments and options, and how they print."""
