"""A judge beside people: their labels, and how well it agrees with them."""
