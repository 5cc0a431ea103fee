"""How the operations of torch pass dependence on, from operands to results.

The operations are those of ATen, to which torch brings down all others. One that is not known here lets every element
of its results depend on every element of its operands: weights may then be counted that lie on no path, rather than one
be missed.
"""

import torch
from torch._ops import OpOverload

from .dependence import Dependence
from .elements import PRODUCTS, choose, compute_each, divide, multiply
from .lookups import look_up
from .mixtures import adaptive_max_pool, add, max_pool, measure, mix
from .moves import fill, forget, keep, move, pad, reshape, restride, take_over
from .normalisations import batch_norm, group_norm, layer_norm
from .operation import Operation, Rule, is_random, mix_all, name_of


def passed_on(operation: Operation) -> tuple[Dependence, ...]:
    """Return the dependence of the results of an operation."""
    rule = _RULES.get(operation.name) or _rule_by_kind(operation.function)
    try:
        return tuple(rule(operation))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError):
        # On operands that the rule does not expect, such as complex numbers.
        return tuple(mix_all(operation))


def is_product(function: object) -> bool:
    """Return whether an operation multiplies operands, so that it matters where they are 0."""
    return isinstance(function, OpOverload) and (name_of(function) == "div" or name_of(function) in PRODUCTS)


def _rule_by_kind(function: OpOverload) -> Rule:
    returned = function._schema.returns
    if returned and all(each.alias_info is not None and not each.alias_info.is_write for each in returned):
        return move
    pointwise = torch.Tag.pointwise in function.tags and not is_random(function)
    return compute_each if pointwise else mix_all


#: Each rule with the operations that follow it; views move elements too, and others with a tag are by element.
_FOLLOWERS: dict[Rule, str] = {
    keep: "_to_copy alias detach lift_fresh lift_fresh_copy clone native_dropout _conj _neg_view real",
    reshape: "view _unsafe_view reshape _reshape_alias",
    restride: "as_strided as_strided_",
    take_over: "copy",
    pad: "constant_pad_nd",
    move: """
        cat stack repeat flip roll rot90 index _unsafe_index index_select gather take
        reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
        pixel_shuffle pixel_unshuffle channel_shuffle im2col col2im tril triu slice_scatter select_scatter
        diagonal_scatter scatter index_copy
    """,
    add: """
        sum mean cumsum trace scatter_add index_add index_put _unsafe_index_put
        avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d _adaptive_avg_pool2d
        _adaptive_avg_pool3d upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
        _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d
        _upsample_bilinear2d_aa
    """,
    mix: """
        amax amin aminmax max min argmax argmin median mode kthvalue topk sort argsort any all prod cumprod cummax
        cummin logcumsumexp logsumexp var var_mean std std_mean norm linalg_vector_norm count_nonzero _softmax
        _log_softmax _safe_softmax _fft_r2c _fft_c2r _fft_c2c
    """,
    layer_norm: "native_layer_norm _fused_rms_norm",
    group_norm: "native_group_norm",
    batch_norm: """
        native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update
        _batch_norm_no_update
    """,
    max_pool: "max_pool2d_with_indices max_pool3d_with_indices",
    adaptive_max_pool: "adaptive_max_pool2d adaptive_max_pool3d",
    look_up: "embedding _embedding_bag _embedding_bag_forward_only",
    choose: "where masked_fill",
    measure: "_cdist_forward _euclidean_dist",
    fill: "full_like zeros_like ones_like new_zeros new_ones new_full",
    forget: "empty_like new_empty rand_like randn_like randint_like",
    divide: "div",
    multiply: " ".join(PRODUCTS),
}

_RULES = {name: rule for rule, names in _FOLLOWERS.items() for name in names.split()}
