"""How rules are applied: the sweeps, and every transform made of them."""
