"""The other libraries, set up so that they answer the same question: in double precision."""

import jax

jax.config.update("jax_enable_x64", True)
