"""What a graph can be asked: views read graphs, and the numbers the engine's own sweep makes.

`record` says what ran (nodes, values, adjoints, messages), `names` what to call it, `formula` how
to write it, `rows` how to group it; `explain`, `zeros`, `kinks` and `nonfinite` answer questions.
Asking changes nothing: no handle, no gradient, no generator.
"""
