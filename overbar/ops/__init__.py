"""Every primitive, once: how it is computed, differentiated, batched and written.

`name_` is a primitive (raw arrays in, raw arrays out: rules are written with these), `name` the
public function on tensors. Elementwise primitives carry the plain name; their public twin is made
from them.
"""
