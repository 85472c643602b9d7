"""How each kind of data file is read: rows with the lines that they stand on."""
