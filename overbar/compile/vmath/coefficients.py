"""Coefficients, lowest power first, by the bytes of a number (4: float32, 8: float64).

Made by tools/coefficients.py, which says how: change that. The comment is the greatest error
relative to the function that the polynomial goes into.
"""

# fmt: off

def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float.fromhex, text.split()))


# exp r = 1 + r + r² EXP(r), |r| <= log(2)/2
EXP = {
    4: _numbers(  # 2^-26.1
        "0x1.fffffep-2 0x1.5554b4p-3 0x1.5556f2p-5 0x1.122548p-7 0x1.6b9c6ep-10"
    ),
    8: _numbers(  # 2^-55.6
        "0x1.0000000000005p-1 0x1.555555555554ep-3 0x1.5555555552256p-5 0x1.111111111514ep-7 "
        "0x1.6c16c17ed187dp-10 0x1.a01a0185ebfbbp-13 0x1.a019a7ade787ep-16 "
        "0x1.71de68f9bce23p-19 0x1.28a198aef7fabp-22 0x1.ae9532c14480bp-26"
    ),
}
# 2^r = 1 + r EXP2(r), |r| <= 1/2
EXP2 = {
    4: _numbers(  # 2^-28.3
        "0x1.62e43p-1 0x1.ebfbdcp-3 0x1.c6af7ap-5 0x1.3b2ddap-7 0x1.5f0986p-10 0x1.417332p-13"
    ),
    8: _numbers(  # 2^-57.8
        "0x1.62e42fefa39efp-1 0x1.ebfbdff82c59dp-3 0x1.c6b08d704a0ddp-5 0x1.3b2ab6fba1005p-7 "
        "0x1.5d87fe78b2009p-10 0x1.4309130c5531bp-13 0x1.ffcbfc0055259p-17 "
        "0x1.62bfcd1ee6c8cp-20 0x1.b525ff52c8eddp-24 0x1.e612d88bf8923p-28 "
        "0x1.e822de7c88d62p-32"
    ),
}
# sinh r = r + r³ SINH(r²), |r| <= log(2)/2
SINH = {
    4: _numbers(  # 2^-26.2
        "0x1.5554bp-3 0x1.1227acp-7"
    ),
    8: _numbers(  # 2^-61.7
        "0x1.5555555555559p-3 0x1.111111110f62ap-7 0x1.a01a01b020232p-13 "
        "0x1.71ddf7b05eaadp-19 0x1.af5ff335ce7a3p-26"
    ),
}
# cosh r = 1 + r²/2 + r⁴ COSH(r²), |r| <= log(2)/2
COSH = {
    4: _numbers(  # 2^-33.2
        "0x1.5554e6p-5 0x1.6d4f14p-10"
    ),
    8: _numbers(  # 2^-57.3
        "0x1.555555555314ap-5 0x1.6c16c17cffa3cp-10 0x1.a019aa6eb6671p-16 "
        "0x1.28a047f049bc3p-22"
    ),
}
# log(1 + f) = f − f²/2 + f³ LOG(f), √½ <= 1 + f <= √2
LOG = {
    4: _numbers(  # 2^-27.4
        "0x1.555554p-2 -0x1.000226p-2 0x1.99a01cp-3 -0x1.547286p-3 0x1.22d91ep-3 "
        "-0x1.0d8264p-3 0x1.055f88p-3 -0x1.38cb88p-4"
    ),
}
# log(1 + f) = 2s + s³ ATANH(s²), s = f / (2 + f), √½ <= 1 + f <= √2
ATANH = {
    4: _numbers(  # 2^-29.2
        "0x1.55557ap-1 0x1.995ed6p-2 0x1.31e07ap-2"
    ),
    8: _numbers(  # 2^-58.5
        "0x1.5555555555592p-1 0x1.999999997ff17p-2 0x1.24924941e18e4p-2 0x1.c71c52141bacbp-3 "
        "0x1.74663cf6cf00cp-3 0x1.39a1e82c69747p-3 0x1.2f03bc78972e6p-3"
    ),
}
# log(1 + x) = x + x² LOG1P(x), 0 <= x <= 1
LOG1P = {
    4: _numbers(  # 2^-27.5
        "-0x1.ffffd2p-2 0x1.554ddp-2 -0x1.ff23e6p-3 0x1.934b58p-3 -0x1.3a4386p-3 "
        "0x1.b4af2ep-4 -0x1.d6b48p-5 0x1.491e42p-6 -0x1.af59fp-9"
    ),
}
# log(1 + x) = 2s + s³ ATANH_UNIT(s²), s = x / (2 + x), 0 <= x <= 1
ATANH_UNIT = {
    8: _numbers(  # 2^-58.4
        "0x1.5555555555535p-1 0x1.99999999a0787p-2 0x1.2492492089fefp-2 0x1.c71c741db3ad7p-3 "
        "0x1.745cb3d3f66d1p-3 0x1.3b1ddef2bca9ap-3 0x1.10679a93c4f72p-3 0x1.efdaaafc10192p-4 "
        "0x1.55a7e38c4a80ap-4 0x1.5c804220dd8c2p-3"
    ),
}
# sin r = r + r³ SIN(r²), |r| <= π/4
SIN = {
    4: _numbers(  # 2^-28.0
        "-0x1.555546p-3 0x1.11077ap-7 -0x1.9954a6p-13"
    ),
    8: _numbers(  # 2^-58.0
        "-0x1.5555555555549p-3 0x1.111111110f892p-7 -0x1.a01a019c121d2p-13 "
        "0x1.71de3576bf6fbp-19 -0x1.ae5e64a9cdf7p-26 0x1.5d925e0657d1dp-33"
    ),
}
# cos r = 1 − r²/2 + r⁴ COS(r²), |r| <= π/4
COS = {
    4: _numbers(  # 2^-33.1
        "0x1.55554ap-5 -0x1.6c0c1ap-10 0x1.99e0e4p-16"
    ),
    8: _numbers(  # 2^-64.2
        "0x1.555555555554cp-5 -0x1.6c16c16c1521p-10 0x1.a01a019cbcd87p-16 "
        "-0x1.27e4f810444bep-22 0x1.1ee9ef513886p-29 -0x1.8fb0006820eefp-37"
    ),
}
# erf x = x + x ERF(x²), |x| <= EDGE
ERF = {
    4: _numbers(  # 2^-27.7
        "0x1.06eba8p-3 -0x1.81273p-2 0x1.ce27e8p-4 -0x1.b76664p-6 0x1.4ce506p-8 "
        "-0x1.543fc6p-11"
    ),
    8: _numbers(  # 2^-55.3
        "0x1.06eba8214db68p-3 -0x1.812746b037975p-2 0x1.ce2f21a03ca23p-4 -0x1.b82ce3108a21p-6 "
        "0x1.565bccb999979p-8 -0x1.c02da39b1f624p-11 0x1.f9a12d3657a44p-14 "
        "-0x1.f4ab2298f3bfap-17 0x1.b7efcf36e1bb4p-20 -0x1.4f9f3ec3c77aep-23 "
        "0x1.681f413375493p-27"
    ),
}
# log erfc x, EDGE <= x <= 4 (6), where erf x = 1 − erfc x
LOG_ERFC = {
    4: _numbers(  # 2^-28.7
        "-0x1.3806c4p-14 -0x1.20d142p+0 -0x1.45c704p-1 -0x1.ad071ap-4 0x1.72c09ep-6 "
        "-0x1.9c7148p-9 0x1.b1913ep-13"
    ),
    8: _numbers(  # 2^-55.4
        "-0x1.aab3191e8b6c7p-23 -0x1.20dd50ee98aefp+0 -0x1.45f470a70438ap-1 "
        "-0x1.a4d219efa3b22p-4 0x1.384161dd3427cp-6 0x1.4ad5ee9910861p-12 "
        "-0x1.dbf5ccf0d648cp-10 0x1.691cf5316dd9ep-11 -0x1.5ac6fd5c2243ap-14 "
        "-0x1.8773e96236bd9p-15 0x1.1764fc178974cp-15 -0x1.904433643041p-17 "
        "0x1.8807ad072bb07p-19 -0x1.154842f26af93p-21 0x1.1969c5346e44ap-24 "
        "-0x1.870bb9e580fadp-28 0x1.4e231308b4fb7p-32 -0x1.092731a7a770fp-37"
    ),
}
# (k + x) exp(x²) erfc x = k + s ERFC(2s − 1), s = x / (x + 4), 0 <= x <= 28
ERFC = {
    8: _numbers(  # 2^-57.0
        "-0x1.7338882197f14p-4 -0x1.2b4c42db15564p-3 0x1.f2c5aab55b5ffp-3 "
        "-0x1.e575996a03c43p-3 0x1.6a370fd23fe22p-3 -0x1.b56f20104c2ep-4 0x1.aba3f885aa752p-5 "
        "-0x1.453ddcdb6b2ffp-6 0x1.533789b56b0ccp-8 -0x1.d14c3ef242c94p-12 "
        "-0x1.51d79a5aa87fap-12 0x1.3fee178ebb394p-13 -0x1.5ca75b997a4dep-17 "
        "-0x1.ee1e835d41ddfp-17 0x1.350b9b169c9f5p-18 0x1.01629745b1138p-20 "
        "-0x1.9a25a695bbd04p-21 -0x1.2622857d32124p-25 0x1.ca60517e6eb0ep-24 "
        "0x1.366e197796422p-29 -0x1.830344ea0d2d5p-27 -0x1.ab13f5ed5234fp-30"
    ),
}
# (1 + x) exp(x²/2) 2 Φ(−x) = 1 + s NDTR(2s − 1), s = x / (x + 6), 0 <= x <= 39.6
NDTR = {
    8: _numbers(  # 2^-57.2
        "-0x1.7d4b85144ccd2p-3 -0x1.3b3b96b9952f9p-3 0x1.40af1944d61b5p-2 "
        "-0x1.5298ed57e4f07p-2 0x1.107b51c718e68p-2 -0x1.67e2cd28ba0ecp-3 "
        "0x1.8beafade1af3ap-4 -0x1.65c3359415b0cp-5 0x1.f9b49b27e268p-7 -0x1.e3b1690a67908p-9 "
        "0x1.c16ee392f5d88p-13 0x1.14759d145fb33p-12 -0x1.d7bfd0074d47cp-14 "
        "0x1.d9c3d45ead2fap-18 0x1.636e42f6d5a35p-17 -0x1.cfc5fea380a6fp-19 "
        "-0x1.257b75d688714p-21 0x1.22804fa98e27bp-21 -0x1.3d543c72d65e8p-27 "
        "-0x1.20494101d36c9p-24 0x1.3443c3f128066p-28 0x1.8d3067240e0a4p-28"
    ),
}
# (1 + 2x) exp(x²) erfc x = 1 + x top(x) / bottom(x), 0 <= x <= 10.1
ERFC_SHORT = {
    4: _numbers(  # 2^-28.0
        "0x1.be451ep-1 0x1.abf97cp-1 0x1.904f3p-2 0x1.814adap-4 0x1.17afe8p-7"
    ),
}, {
    4: _numbers(  # 2^-28.0
        "0x1p+0 0x1.334fep+1 0x1.3d443cp+1 0x1.65ccaep+0 0x1.c34b16p-2 0x1.104ec6p-4"
    ),
}
# (1 + x) exp(x²/2) 2 Φ(−x) = 1 + x top(x) / bottom(x), 0 <= x <= 14.6
NDTR_SHORT = {
    4: _numbers(  # 2^-28.4
        "0x1.9deec8p-3 0x1.835cdp-5 -0x1.59f912p-6 -0x1.acd894p-7 -0x1.47aa48p-9"
    ),
}, {
    4: _numbers(  # 2^-28.4
        "0x1p+0 0x1.b53272p+0 0x1.41270ep+0 0x1.023a86p-1 0x1.d1286cp-4 0x1.954dd4p-7"
    ),
}
# (k + x) exp(x²) erfc x = k + s ERFCX(2s − 1), s = x / (x + 4), 0 <= x
ERFCX = {
    8: _numbers(  # 2^-59.8
        "-0x1.7338882197f14p-4 -0x1.2b4c42db15558p-3 0x1.f2c5aab55b5e3p-3 "
        "-0x1.e575996a041e9p-3 0x1.6a370fd2406a3p-3 -0x1.b56f2010337efp-4 "
        "0x1.aba3f885768d1p-5 -0x1.453ddce19792bp-6 0x1.533789c7384ccp-8 "
        "-0x1.d14c314c847abp-12 -0x1.51d7a0787c1d3p-12 0x1.3fed853124245p-13 "
        "-0x1.5ca56dad87b1ep-17 -0x1.edff6ca73a0abp-17 0x1.350b8e820788ap-18 "
        "0x1.fe8bfd7f471a5p-21 -0x1.9aee6c146866ap-21 -0x1.955e333577304p-26 "
        "0x1.da6e21835e34dp-24 -0x1.9bc600a1ea4ccp-28 -0x1.0855da2c94388p-26 "
        "0x1.75581f5e33cb6p-30 0x1.026fb62a847f4p-29 -0x1.1e7e4a37be75ep-33 "
        "-0x1.33bc861ba138bp-33"
    ),
}
# atan t = t + t³ ATAN(t²), |t| <= 1
ATAN = {
    4: _numbers(  # 2^-25.8
        "-0x1.5554dcp-2 0x1.9978ecp-3 -0x1.230a9cp-3 0x1.b4df5ep-4 -0x1.355376p-4 "
        "0x1.61f7d2p-5 -0x1.0c26cp-6 0x1.7ecb94p-9"
    ),
    8: _numbers(  # 2^-55.0
        "-0x1.555555555544cp-2 0x1.999999998411p-3 -0x1.2492491fa214bp-3 0x1.c71c709e1a848p-4 "
        "-0x1.745d023111715p-4 0x1.3b12b2e97edc9p-4 -0x1.11089d07e57bap-4 "
        "0x1.e178176e99e14p-5 -0x1.ad32bb32fca29p-5 0x1.7ee3f8ce66f77p-5 "
        "-0x1.4f45278793494p-5 0x1.1715e4674f3cdp-5 -0x1.a726c03eadb8cp-6 "
        "0x1.162c52e802bc5p-6 -0x1.2cf788e8e50b8p-7 0x1.f96cffb0fda8fp-9 "
        "-0x1.312a649698415p-10 0x1.d3bb4e7941388p-13 -0x1.53e5f7daee25dp-16"
    ),
}
# asin t = t + t³ ASIN(t²), |t| <= 1/2
ASIN = {
    4: _numbers(  # 2^-27.6
        "0x1.5555cap-3 0x1.33016ap-4 0x1.748a2ep-5 0x1.8bb55cp-6 0x1.59cc2p-5"
    ),
    8: _numbers(  # 2^-55.9
        "0x1.5555555555387p-3 0x1.333333336f882p-4 0x1.6db6db41d3f9cp-5 0x1.f1c72c6d48d19p-6 "
        "0x1.6e89ef7a9d30dp-6 0x1.1c6c27a87eafep-6 0x1.c6f8809f387d2p-7 0x1.8ee48a62cd234p-7 "
        "0x1.aab4f21f6ec66p-8 0x1.40b0cd05a2d45p-6 -0x1.0af2d8e3a9f61p-6 0x1.05cd9639e43aep-5"
    ),
}
# ∛m, √½ <= m <= √2
CBRT = {
    4: _numbers(  # 2^-10.6
        "0x1.1c218p-1 0x1.1a333cp-1 -0x1.b362bp-4"
    ),
    8: _numbers(  # 2^-19.6
        "0x1.b04af5c6af6a6p-2 0x1.0dbc02801a4f9p+0 -0x1.a9ac5d771f19cp-1 0x1.034855f8bf701p-1 "
        "-0x1.6b41a181240fbp-3 0x1.b2da41713c992p-6"
    ),
}
# e^r, |r| <= log(2)/2, for float32 computed in float64
EXP_SHORT = {
    8: _numbers(  # 2^-29.0
        "0x1.0000000262f5bp+0 0x1.0000009c6f40ep+0 0x1.fffffaacfb8aap-2 0x1.555409dc91b4p-3 "
        "0x1.55589bba7f5cbp-5 0x1.126d62562314bp-7 0x1.6ab8209a97d7p-10"
    ),
}
# log(1 + f) = f + f² LOG_SHORT(f), √½ <= 1 + f <= √2, for float32 computed in float64
LOG_SHORT = {
    8: _numbers(  # 2^-35.7
        "-0x1.00000001d9037p-1 0x1.555555cf58dd7p-2 -0x1.fffff90fc4e4dp-3 "
        "0x1.999910e5244bfp-3 -0x1.5556b34754f3bp-3 0x1.24abbfc4476a7p-3 "
        "-0x1.ffe4e2db90327p-4 0x1.c2f4263f07962p-4 -0x1.969f1d2fe468cp-4 "
        "0x1.9a3ac97f111a2p-4 -0x1.945b917d06b87p-4 0x1.b6feb2aa95432p-5"
    ),
}
# log(1 + f) = 2s + s³ (2/3 + s² ATANH_LONG(s²)), s = f / (2 + f), √½ <= 1 + f <= √2
ATANH_LONG = {
    8: _numbers(  # 2^-72.5
        "0x1.9999999999996p-2 0x1.2492492492f51p-2 0x1.c71c71c5969p-3 0x1.745d182955e4fp-3 "
        "0x1.3b1364c99a385p-3 0x1.11206f1b2c6b1p-3 0x1.de3d74ba551d9p-4 0x1.eac591ec446ecp-4"
    ),
}
# log Γ(2 + r) = r LOG_GAMMA(r), |r| <= 1/2
LOG_GAMMA = {
    8: _numbers(  # 2^-56.2
        "0x1.b0ee6072093cep-2 0x1.4a34cc4a60fa6p-2 -0x1.13e001a55757cp-4 0x1.51322ac7d7c12p-6 "
        "-0x1.e404fc21cac7ep-8 0x1.7add6eaf3e83fp-9 -0x1.38ac5c03e0619p-10 "
        "0x1.0b36aec18db3dp-11 -0x1.d3fd673f89ff7p-13 0x1.a12813644d92dp-14 "
        "-0x1.78d965ebc9cf7p-15 0x1.57ffe9740b8aap-16 -0x1.3d450b83c239ep-17 "
        "0x1.26be734f9de67p-18 -0x1.094832b4f1ce4p-19 0x1.e49ee5afd58c4p-21 "
        "-0x1.36d68a2f35f88p-21 0x1.3d5b98586a1efp-22"
    ),
}
# log Γ(x) = (x − ½) log x − x + ½ log 2π + STIRLING(1/x²) / x, x >= 4.5
STIRLING = {
    8: _numbers(  # 2^-64.5
        "0x1.5555555555548p-4 -0x1.6c16c16bcc27fp-9 0x1.a01a00730bbd4p-11 "
        "-0x1.3812e7520ef97p-11 0x1.b9240c420030cp-11 -0x1.f2679f6106285p-10 "
        "0x1.83480aa2caba4p-8 -0x1.3df2cd50efbffp-6 0x1.529676d10b796p-5"
    ),
}
# ψ(1.5 + r) = (1.5 + r − x₀) PSI(r), |r| <= 1/2, ψ(x₀) = 0
PSI = {
    8: _numbers(  # 2^-53.3
        "0x1.e6f0cbb873616p-1 -0x1.b1cb63005ee71p-2 0x1.eca189b8e6fbfp-3 "
        "-0x1.2feeeb98ae97fp-3 0x1.8512e59046248p-4 -0x1.fb44201fccb6bp-5 "
        "0x1.4de9aa0d31866p-5 -0x1.b9f8b474b2c12p-6 0x1.2564749600388p-6 "
        "-0x1.8634ce10b57e4p-7 0x1.03c02bea0430bp-7 -0x1.5a1645e4d6c21p-8 "
        "0x1.cd3975ba85517p-9 -0x1.3269bcf88033dp-9 0x1.98437b5eb598bp-10 "
        "-0x1.1a5667353d03ep-10 0x1.79e74533bded5p-11 -0x1.7547fefea92d5p-12 "
        "0x1.e6493ea9ccefcp-13 -0x1.8bbfc7a2445cep-12 0x1.0c7b3ec4b5e23p-12"
    ),
}
# ψ(x) = log x − 1/(2x) − PSI_TAIL(1/x²) / x², x >= 4
PSI_TAIL = {
    8: _numbers(  # 2^-57.7
        "0x1.55555555552bep-4 -0x1.1111110daec83p-7 0x1.04103ae66596cp-8 "
        "-0x1.110e5522e0974p-8 0x1.efc84e92a7bbep-8 -0x1.5269caf2e8f3dp-6 "
        "0x1.25d41c579d573p-4 -0x1.e5dd8f0b4748fp-3 0x1.dc4b145325fa8p-2"
    ),
}
# ψ'(x) = 1/x + 1/(2x²) + TRIGAMMA_TAIL(1/x²) / x³, x >= 4
TRIGAMMA_TAIL = {
    8: _numbers(  # 2^-57.0
        "0x1.55555555552d5p-3 -0x1.1111110f13f25p-5 0x1.86185d1fe506dp-6 "
        "-0x1.110fda22aa2f2p-5 0x1.361b8e66bde01p-4 -0x1.00a401e80c9f7p-2 "
        "0x1.148b61f8af59bp+0 -0x1.41223698c8b2fp+2 0x1.3019be3b6122ap+4 "
        "-0x1.3529c4691cb16p+5"
    ),
}
# erf⁻¹ x = x ERFINV(w − 2.5), w = −log(1 − x²) <= 5
ERFINV = {
    8: _numbers(  # 2^-54.4
        "0x1.805c5cfcedef5p+0 0x1.f91e8993f0d14p-3 -0x1.11c3c302e0922p-8 "
        "-0x1.4863cdfb61adfp-10 0x1.c9b437edb03cdp-13 -0x1.4f47fe71633dap-18 "
        "-0x1.ca92281ac7352p-19 0x1.01037e1ada36ap-21 0x1.ccffd6309e53dp-27 "
        "-0x1.752fd213cb762p-27 0x1.f2c73f2c7230fp-31 0x1.070374d666045p-33 "
        "-0x1.1175d81792985p-35 0x1.00d498f532cb5p-40 0x1.2b4797c72ea96p-41 "
        "-0x1.57c66371dbd2ep-44 -0x1.34952bbaf1939p-49 0x1.158e00e54ccc9p-49 "
        "-0x1.febef8b5c8bbdp-53 -0x1.0c694dc9bd49ap-55 0x1.80417bdeac7fbp-57 "
        "0x1.21409d3edb309p-62 -0x1.078555849fa9cp-62"
    ),
}
# erfc⁻¹ q = s + ERFINV_TAIL(s / (s + 2) − 0.65), s = √(−log q), 2.35 <= s <= 6
ERFINV_TAIL = {
    8: _numbers(  # 2^-55.9
        "-0x1.084bee9be851ap-2 0x1.1fb2283b5c836p-1 0x1.6b33b4a57f59bp-2 "
        "-0x1.f282b0c4bac91p-2 0x1.b0227e68795f9p+0 -0x1.e0163b662bce3p-1 "
        "0x1.60556a2ce7d43p+1 0x1.5c808d96a5bb7p+1 0x1.042f5054ea993p+2 0x1.3a7be5b8ceaecp+4 "
        "0x1.80e563489edabp+4 0x1.5674a611787f6p+6 0x1.5f1b66378da6cp+7 0x1.bd834576e4d1dp+8 "
        "0x1.6c2284f47f784p+10 0x1.637efb8756a39p+11"
    ),
}
# erfc⁻¹ q = s + ERFINV_END(s / (s + 8) − 0.6), s = √(−log q), 6 <= s <= 27.4
ERFINV_END = {
    8: _numbers(  # 2^-59.4
        "-0x1.05aab501f4809p-3 0x1.7158aa71d7001p-2 -0x1.fb432cf79ff86p-3 "
        "0x1.4c8419dbb7686p-2 -0x1.70f79bf950e7cp-3 0x1.c16e3eff355f6p-3 0x1.65279b9f63f33p-2 "
        "-0x1.e82aa50bfe804p-2 0x1.4c36e92296efep+1 -0x1.7d2eb21d58077p+1 "
        "0x1.4e3b711da59b7p+3 -0x1.32a578f9618cbp+3 0x1.1ef53d062584dp+5 "
        "-0x1.4f1bf11e07dc3p+4 0x1.edd0fbbc45787p+6 -0x1.5ea7ae438266ep+1 "
        "0x1.28b408d1c1782p+8 0x1.bccac17d15018p+4 0x1.8501062e16f0ap+11 "
        "0x1.2ed70860b21bfp+12"
    ),
}
# I₀(x) = 1 + a BESSEL_I0(a), a = x²/4, x <= 7.75
BESSEL_I0 = {
    8: _numbers(  # 2^-55.1
        "0x1.ffffffffffff9p-1 0x1.0000000000083p-2 0x1.c71c71c71ae26p-6 0x1.c71c71c740ec1p-10 "
        "0x1.23456787c6e2p-14 0x1.02e85c2818bb8p-19 0x1.522a413fceda9p-25 "
        "0x1.522a6d0fa7bdcp-31 0x1.0b2f7e24f4488p-37 0x1.561b125385ba6p-44 "
        "0x1.68beb13a2f056p-51 0x1.4915a490a596p-58 0x1.a1fb124e78616p-66 "
        "0x1.f36e570be4eedp-73"
    ),
}
# J₀(x) = (x² − z₁²) (x² − z₂²) BESSEL_J0(x² − 32), zₖ its zeros, x <= 8
BESSEL_J0 = {
    8: _numbers(  # 2^-54.3
        "0x1.2bc29174dd587p-10 -0x1.15d87e4b8d5b1p-14 0x1.99e65104a68f3p-20 "
        "-0x1.5059ea69f5916p-26 0x1.6409a6fd79d52p-33 -0x1.08db6a2dd9989p-40 "
        "0x1.250f537ab4c6fp-48 -0x1.f633eaa6b0687p-57 0x1.577f66032844ep-65 "
        "-0x1.801f4388fe5bp-74 0x1.65f0dfd19298ep-83 -0x1.1ac3130b7cb14p-92 "
        "0x1.747595e3480f4p-102 0x1.f3c75a8faedefp-115 0x1.6f1423d570563p-118 "
        "-0x1.20632ee440722p-122 -0x1.2f1324817ea2fp-130 0x1.06fc6e7fbb1cap-134"
    ),
}
# J₀(x) = √(2/πx) (P cos χ − Q sin χ), χ = x − π/4, x >= 8: P of 1/x²
BESSEL_P0 = {
    8: _numbers(  # 2^-55.6
        "0x1p+0 -0x1.1ffffffffbfaep-4 0x1.cb5fffc138f8p-4 -0x1.251ebd15edb81p-1 "
        "0x1.84ae4607c71ccp+2 -0x1.b68b99716a297p+6 0x1.6eaf67432b366p+11 "
        "-0x1.81d46a5be412cp+16 0x1.9db46dd9d7bcep+21 -0x1.6d58af44b5856p+26 "
        "0x1.aea123cf5e818p+30 -0x1.e48a75b5f33b2p+33"
    ),
}
# and x Q
BESSEL_Q0 = {
    8: _numbers(  # 2^-57.0
        "-0x1.fffffffffff97p-4 0x1.2bffffff4805bp-4 -0x1.d11dfd017cc0ap-3 "
        "0x1.ba4ae3b62378cp+0 -0x1.85e2c4ba97bep+4 0x1.1161b06665d47p+9 "
        "-0x1.0baafeb11a5a2p+14 0x1.347a0c04c05bdp+19 -0x1.55b81492e4cfdp+24 "
        "0x1.2cc39a3d89bcbp+29 -0x1.5b486b3294604p+33 0x1.7c35b474ea94cp+36"
    ),
}
# I₁(x) = x/2 (1 + a BESSEL_I1(a)), a = x²/4, x <= 7.75
BESSEL_I1 = {
    8: _numbers(  # 2^-57.7
        "0x1.ffffffffffffep-2 0x1.5555555555596p-4 0x1.c71c71c71bc21p-8 0x1.6c16c16c255b9p-12 "
        "0x1.845c8a0b7e663p-17 0x1.27e4fb8d51863p-22 0x1.522a42313fe31p-28 "
        "0x1.2c977257f6426p-34 0x1.ab7fe4b3e49f5p-41 0x1.f193ba2c0234dp-48 "
        "0x1.e13c50d524f55p-55 0x1.93cedd92b4101p-62 0x1.e4ddb211e94e1p-70 "
        "0x1.05adafd046ab5p-76"
    ),
}
# I₁(x) = eˣ / √x BESSEL_I1_FAR(1/x − 1/16), x >= 7.75
BESSEL_I1_FAR = {
    8: _numbers(  # 2^-54.8
        "0x1.8ebe783a8403p-2 -0x1.3f796198ee647p-3 -0x1.cbc54df1ded8ep-5 "
        "-0x1.f89c230325f8ep-5 -0x1.ec8e11e71ccedp-4 -0x1.76138aad450a1p-2 "
        "-0x1.ad8b5d3aaa232p+0 -0x1.7275575346831p+3 -0x1.91dfe74c56debp+6 "
        "-0x1.221d700528c49p+9 0x1.d61fd361f1b3cp+12 0x1.e4938a69441a9p+17 "
        "0x1.7fc8d64cbbb25p+20 -0x1.0d2800d3e8a33p+25 -0x1.de4c1a498401fp+28 "
        "0x1.031cdd16690e3p+32 0x1.4823e65f72886p+36 -0x1.f9c70107e2aecp+38 "
        "-0x1.377f02b326e92p+43 0x1.c37b0987ef7cbp+45 0x1.7474dab5a37c9p+49 "
        "-0x1.1e3554673fad1p+52 -0x1.a0b77050afcdbp+54 0x1.5f69282c9af55p+57"
    ),
}
# J₁(x) = x (x² − z₁²) (x² − z₂²) BESSEL_J1(x² − 32), zₖ its zeros, x <= 8
BESSEL_J1 = {
    8: _numbers(  # 2^-54.0
        "0x1.98ec1eee7c01ap-13 -0x1.1adb1329ed87p-17 0x1.4c9bd11c0aa05p-23 "
        "-0x1.c5a7fc38dd047p-30 0x1.9ac7788fc248cp-37 -0x1.0af8bb98a793dp-44 "
        "0x1.06438a647bc18p-52 -0x1.941a81f399379p-61 0x1.f6298da2b7bf7p-70 "
        "-0x1.0138c056cc8fep-78 0x1.ba1435dc2bdb5p-88 -0x1.400b88e444dc2p-97 "
        "0x1.0102899a4c76ap-106 -0x1.3414adf9cc876p-113 -0x1.070e85b33d736p-119 "
        "0x1.5824032b45556p-124 0x1.0d8f27d648ad9p-131 -0x1.581b05b3d934cp-136"
    ),
}
# J₁(x) = √(2/πx) (P cos χ − Q sin χ), χ = x − 3π/4, x >= 8: P of 1/x²
BESSEL_P1 = {
    8: _numbers(  # 2^-55.5
        "0x1p+0 0x1.dffffffffbbbfp-4 -0x1.274fffdeb35ffp-3 0x1.5a6a2a7cc727bp-1 "
        "-0x1.b8825424357eep+2 0x1.e4c707ad027f4p+6 -0x1.8eefe3e711607p+11 "
        "0x1.9facde5efee0fp+16 -0x1.bb3ef1d9db325p+21 0x1.8640baead4aabp+26 "
        "-0x1.cb3421aa6924p+30 0x1.021510e595806p+34"
    ),
}
# and x Q
BESSEL_Q1 = {
    8: _numbers(  # 2^-56.9
        "0x1.7ffffffffffe4p-2 -0x1.a3ffffff3c2c7p-4 0x1.1c3cfe689b8d9p-2 -0x1.fe568b9ce0c1p+0 "
        "0x1.b3c42ab98d4p+4 -0x1.2b7fe0d7efa67p+9 0x1.2176b244fbafbp+14 "
        "-0x1.4af3571efa9dap+19 0x1.6cebca2586cbep+24 -0x1.404eebb162749p+29 "
        "0x1.71354c7a0cd22p+33 -0x1.93b9cdacdaa99p+36"
    ),
}
# I₀(x) = eˣ / √x BESSEL_I0_FAR(1/x − 1/16), x >= 7.75
BESSEL_I0_FAR = {
    8: _numbers(  # 2^-53.8
        "0x1.9bd428ad249a5p-2 0x1.b87969bb93b2p-5 0x1.1daa72b5ae63ep-5 0x1.75e5ee75a8348p-5 "
        "0x1.8e513ef72c81fp-4 0x1.3f4998b660539p-2 0x1.7d0a337a0423dp+0 0x1.51d464908edc5p+3 "
        "0x1.72e02ddd4e042p+6 0x1.02f19b57b7461p+9 -0x1.ddcfbb9a811b1p+12 "
        "-0x1.ca1ccdbee3081p+17 -0x1.44f8110f3dff5p+20 0x1.f92f07c81643dp+24 "
        "0x1.9a586456edff3p+28 -0x1.b1e9af08e02fap+31 -0x1.091fc25c29d5fp+36 "
        "0x1.3548498cac75ap+38 0x1.c721f64be3c6fp+42 -0x1.3f396428d7acep+44 "
        "-0x1.dc6908b7681edp+48 0x1.51d2d78da5f78p+49 0x1.c51a96cde3f45p+53"
    ),
}
