"""Whether LaTeX would compile, as far as one can see without TeX: no tool is needed for this.

Braces, `\\left` and `\\right`, environments and alignment marks must match, every command must be
one that amsmath knows, indices must not be doubled, and nothing but ASCII may be left.
"""

import re

KNOWN = {
    "Delta", "Gamma", "Im", "Lambda", "Omega", "Phi", "Pi", "Psi", "Re", "Sigma", "Theta",
    "Upsilon", "Vert", "Xi", "acute", "alpha", "arccos", "arcsin", "arctan", "arg", "ast",
    "backslash", "bar", "begin", "beta", "bmod", "breve", "cdot", "check", "cos", "cosh", "ddot",
    "delta", "det", "dot", "dots", "ell", "end", "epsilon", "eta", "exp", "frac", "gamma", "ge",
    "grave", "hat", "hline", "infty", "lVert", "lambda", "land", "langle", "lceil", "le", "left",
    "lfloor", "ln", "log", "lor", "mathbf", "mathrel", "mathrm", "max", "min", "mu", "ne", "neg",
    "odot", "operatorname", "oplus", "otimes", "overline", "partial", "phi", "pi", "prod", "psi",
    "rVert", "rangle", "rceil", "rfloor", "right", "sigma", "sim", "sin", "sinh", "sqrt",
    "square", "star", "sum", "surd", "tan", "tanh", "text", "tfrac", "theta", "tilde", "times",
    "to", "top", "underset", "varphi", "vert", "wedge",
}  # fmt: skip
SIGNS = set("\\,;{}_%&#$ ")
TABLES = {"aligned": 2, "array": 0, "gathered": 1}


def faults(tex):
    """What is wrong, as a list of sentences; empty if nothing is."""
    found = []
    commands = re.findall(r"\\([A-Za-z]+|.)", tex)
    unknown = {c for c in commands if c not in KNOWN and c not in SIGNS}
    if unknown:
        found.append(f"unknown commands {sorted(unknown)}")
    strange = sorted({c for c in tex if ord(c) > 126})
    if strange:
        found.append(f"characters {strange}")
    bare = re.sub(r"\\[{}\\]", "  ", tex)
    depth = 0
    for c in bare:
        depth += (c == "{") - (c == "}")
        if depth < 0:
            found.append("a brace is closed that was not opened")
            break
    if depth > 0:
        found.append("a brace is not closed")
    sides = re.findall(r"\\(left|right)\b", tex)
    level = 0
    for side in sides:
        level += 1 if side == "left" else -1
        if level < 0:
            break
    if level:
        found.append(r"\left and \right do not match")
    opened = []
    for word, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        if word == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            found.append(f"\\end{{{name}}} without its \\begin")
        if name not in TABLES:
            found.append(f"an environment {name}")
    if opened:
        found.append(f"{opened} is not ended")
    for twice in (r"_\{[^{}]*\}_", r"\^\{[^{}]*\}\^", r"\^\\top\^", r"\^[^{\\]\^", r"_[^{\\]_"):
        found += [
            f"a double index: {tex[max(0, at.start() - 20) : at.end() + 20]}"
            for at in re.finditer(twice, tex)
        ]
    if re.search(r"\\operatorname\{[^{}]*(?<!\\)_", tex):
        found.append("a bare _ in a name")
    if "\\begin" not in tex and re.search(r"(?<!\\)&", tex):
        found.append("& outside of a table")
    return found
