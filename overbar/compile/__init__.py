"""From a captured graph to a program. Today the program is the NumPy interpreter."""
