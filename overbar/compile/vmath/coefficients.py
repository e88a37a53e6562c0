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
# (k + x) exp(x²) erfc x = k + s ERFC(2s − 1), s = x / (x + c), c = 3, x <= 10.1 (4, 28)
ERFC = {
    4: _numbers(  # 2^-29.3
        "-0x1.c17768p-5 -0x1.9feecep-3 0x1.fb2612p-3 -0x1.64ec2p-3 0x1.4f6392p-4 "
        "-0x1.747418p-6 0x1.1a0f9ap-11 0x1.2d06bep-9 -0x1.1192fap-11 -0x1.040082p-12"
    ),
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
# (1 + x) exp(x²/2) 2 Φ(−x) = 1 + s NDTR(2s − 1), s as above, c = 4 (6), x < 14.6 (39.6)
NDTR = {
    4: _numbers(  # 2^-28.7
        "-0x1.c9e158p-4 -0x1.19a09ap-2 0x1.52f834p-2 -0x1.bba5c2p-3 0x1.67c804p-4 "
        "-0x1.076876p-6 -0x1.02a35ap-8 0x1.65aa7ep-9 0x1.a3a49ep-15 -0x1.29a098p-12"
    ),
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
