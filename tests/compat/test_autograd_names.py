"""Every name that autograd's users import is there, with autograd's arguments."""

import importlib
import inspect

import numpy
import pytest

ROOT = "overbar.compat.autograd"

NAMES = {
    "": """
        grad elementwise_grad jacobian hessian hessian_vector_product hessian_tensor_product
        make_vjp make_jvp make_hvp make_ggnvp value_and_grad grad_and_aux grad_named
        multigrad_dict checkpoint deriv holomorphic_grad tensor_jacobian_product
        vector_jacobian_product primitive isinstance type tuple list dict numpy
    """,
    "differential_operators": "make_jvp_reversemode grad jacobian unary_to_nary primitive vspace",
    "extend": """
        Box primitive register_notrace notrace_primitive VSpace vspace SparseObject VJPNode JVPNode
        defvjp defvjp_argnum defvjp_argnums defjvp defjvp_argnum defjvp_argnums def_linear
    """,
    "core": """
        make_vjp make_jvp vspace VSpace primitive primitive_vjps primitive_jvps defvjp defjvp
        SparseObject isbox getval
    """,
    "tracer": """
        Box isbox getval primitive notrace_primitive register_notrace notrace_primitives
    """,
    "builtins": "isinstance type tuple list dict SequenceBox DictBox",
    "util": "subval subvals func toposort quick_grad_check",
    "wrap_util": "unary_to_nary wraps wrap_nary_f get_name get_doc",
    "test_util": """
        check_grads check_vjp check_jvp check_equivalent combo_check scalar_close make_numerical_jvp
    """,
    "misc": "flatten const_graph",
    "misc.flatten": "flatten flatten_func",
    "misc.optimizers": "sgd rmsprop adam unflatten_optimizer",
    "misc.fixed_points": "fixed_point",
    "misc.tracers": "const_graph const_graph_unary full_graph",
    "numpy": """
        linalg fft random sin where array concatenate r_ c_ make_diagonal pi newaxis ndarray float64
        int64 errstate testing
    """,
    "numpy.numpy_wrapper": "wrap_namespace array_from_args concatenate_args metadata make_diagonal",
    "numpy.numpy_boxes": "ArrayBox",
    "numpy.numpy_vspaces": "ArrayVSpace ComplexArrayVSpace",
    "numpy.numpy_vjps": """
        unbroadcast unbroadcast_f match_complex repeat_to_match_shape replace_zero
    """,
    "numpy.linalg": "norm det slogdet inv pinv solve cholesky eigh eig svd LinAlgError",
    "numpy.fft": "fft ifft rfft irfft fft2 ifft2 fftn ifftn rfftn irfftn fftshift",
    "numpy.random": "randn rand normal seed RandomState default_rng",
    "scipy.special": """
        beta betainc betaln gamma gammaln digamma psi polygamma gammainc gammaincc gammasgn rgamma
        multigammaln j0 j1 jn y0 y1 yn i0 i1 iv ive erf erfc erfinv erfcinv logit expit logsumexp
    """,
    "scipy.linalg": "solve_triangular solve_banded solve_sylvester sqrtm expm cholesky",
    "scipy.signal": "convolve",
    "scipy.integrate": "odeint",
    "scipy.stats": "norm t gamma beta chi2 poisson dirichlet multivariate_normal",
    "scipy.stats.norm": "pdf logpdf cdf logcdf sf logsf rvs",
}

ARGUMENTS = {
    "grad": "fun argnum",
    "jacobian": "fun argnum",
    "elementwise_grad": "fun argnum",
    "hessian": "fun argnum",
    "value_and_grad": "fun argnum",
    "make_vjp": "fun argnum",
    "make_jvp": "fun argnum",
    "make_hvp": "fun argnum",
    "holomorphic_grad": "fun argnum",
    "deriv": "fun argnum",
    "grad_and_aux": "fun argnum",
    "grad_named": "fun argname",
    "hessian_tensor_product": "fun argnum",
    "tensor_jacobian_product": "fun argnum",
    "make_ggnvp": "f g f_argnum",
    "multigrad_dict": "fun",
    "checkpoint": "fun",
    "core.make_vjp": "fun x",
    "core.make_jvp": "fun x",
    "extend.primitive": "f_raw",
    "extend.defvjp": "fun vjpmakers argnums",
    "extend.defjvp": "fun jvpfuns argnums",
    "extend.defvjp_argnum": "fun vjpmaker",
    "extend.defvjp_argnums": "fun vjpmaker",
    "extend.defjvp_argnum": "fun jvpmaker",
    "extend.defjvp_argnums": "fun jvpmaker",
    "extend.register_notrace": "trace_type primitive_fun",
    "test_util.check_vjp": "f x",
    "test_util.check_jvp": "f x",
    "test_util.check_equivalent": "x y",
    "misc.flatten.flatten": "value",
    "misc.flatten.flatten_func": "func example",
    "misc.optimizers.sgd": "grad x0 callback",
    "misc.optimizers.adam": "grad x0 callback",
    "misc.fixed_points.fixed_point": "f a x0 distance tol",
    "numpy.where": "condition args kwargs",
    "numpy.linalg.eigh": "a UPLO",
    "scipy.signal.convolve": "A B axes dot_axes mode",
    "scipy.integrate.odeint": "func y0 t",
}


def module_of(name):
    return importlib.import_module(f"{ROOT}.{name}".rstrip("."))


@pytest.mark.parametrize("module", NAMES)
def test_the_names_are_there(module):
    found = module_of(module)
    assert not [n for n in NAMES[module].split() if not hasattr(found, n)]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_are_autograds(name):
    module, _, function = name.rpartition(".")
    found = getattr(module_of(module), function)
    asked = ARGUMENTS[name].split()
    if hasattr(found, "fun"):  # a primitive: its signature is the function's
        found = found.fun
    given = list(inspect.signature(found).parameters)
    if function in ("sgd", "adam"):
        asked[0], given[0] = "grad", "grad"
    assert given[: len(asked)] == asked


def test_everything_of_numpy_is_handed_through():
    np = module_of("numpy")
    public = [n for n in dir(numpy) if not n.startswith("_")]
    assert not [n for n in public if not hasattr(np, n)]
    assert np.pi == numpy.pi
    assert np.float64 is numpy.float64
    assert np.__version__ == numpy.__version__


def test_functions_keep_their_names_and_docs():
    np = module_of("numpy")
    assert np.sin.__name__ == "sin"
    assert np.sum.__doc__ == numpy.sum.__doc__
    grad = module_of("").grad
    assert grad(np.sin, 0).__name__ == "grad_of_sin_wrt_argnum_0"
