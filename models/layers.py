"""The layers of a network: whose weights can be pruned, how those lie on their axes, and what is never pruned."""

from collections.abc import Collection, Iterator, Mapping

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from .errors import InputError
from .layout import Layout

#: Weights (out, in / groups, …), and weights (in, out / groups, …): an embedding's input is the number of its row.
_OUTPUTS_FIRST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_INPUTS_FIRST = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Embedding, nn.EmbeddingBag)

#: Of attention, whose output projection is a linear layer. The packed one is (3 * out, in): queries, keys and values of
#: one input are one graph.
_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")

#: Attribute of a module: why it leaves its own parameters dense, by their names in it.
_DENSE = "fullspectrum_dense"

#: Why a parameter is left dense from which its layer, or the network, computes the weight that it works with.
COMPUTED = "its layer computes the weight from it"

#: Why a weight is left dense that no training changes.
FROZEN = "frozen: its requires_grad is False"

#: Parameters that a message names at most; a network may have hundreds.
_NAMED = 3


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that can be pruned by parameter name, in module order.

    They are those of all convolutions (transposed ones too), linear layers, embeddings and attention's input
    projections, those apart that are left dense (see `leave_dense`). A weight that several layers share appears once.
    Raises `InputError` for a model without any, and for one with weights that have no shape yet.
    """
    weights = {name: weight for name, _, weight in each_prunable(model)}
    if not weights:
        reasons = unsupported(model)
        why = f"it leaves dense {described(reasons)}; " if reasons else ""
        raise InputError(
            f"{type(model).__name__} has no layer whose weights could be pruned: {why}no "
            f"{'other ' if reasons else ''}convolution, linear layer, embedding or attention"
        )
    return weights


def leave_dense(model: nn.Module, names: Collection[str], reason: str) -> None:
    """Let `prunable` leave out the parameters `names` of `model`, and of its copies, in every layer that has them.

    `unsupported` then gives the `reason`, in a few words.
    """
    left = {id(model.get_parameter(name)) for name in names}
    for module in model.modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            if id(parameter) in left:
                setattr(module, _DENSE, {**_left_dense(module), leaf: reason})


def layout(model: nn.Module) -> Layout:
    """Return how the prunable weights of `model` lie on their axes."""
    groups: dict[str, int] = {}
    inputs_first = []
    for name, module, _ in each_prunable(model):
        if (count := getattr(module, "groups", 1)) > 1:
            groups[name] = count
        if isinstance(module, _INPUTS_FIRST):
            inputs_first.append(name)
    return Layout(groups, tuple(inputs_first))


def unsupported(model: nn.Module) -> dict[str, str]:
    """Return why it is never pruned, in a few words, for each parameter with two axes or more that is not prunable."""
    known = {name for name, _, _ in each_prunable(model)}
    return {
        name: _reason(model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and name not in known
    }


def described(reasons: Mapping[str, str]) -> str:
    """Return the `reasons` of `unsupported` for a message: the first few, and the number of the others."""
    named = [f"{name} ({reason})" for name, reason in list(reasons.items())[:_NAMED]]
    more = len(reasons) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def each_prunable(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Yield each prunable weight with its name among `model.named_parameters()` and the first layer that has it."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        if nn.parameter.is_lazy(parameter):
            raise InputError(
                f"{names[id(parameter)]} has no shape yet (a lazy layer of {type(model).__name__}); "
                "call the network once on a batch of images before it is used"
            )
    for module in model.modules():
        for leaf, weight in module.named_parameters(recurse=False):
            # Popped, because a weight that several layers share counts once.
            if _is_prunable(module, leaf) and (name := names.pop(id(weight), None)):
                yield name, module, weight


def _left_dense(module: nn.Module) -> dict[str, str]:
    # Not by getattr: a module of the user's may have every attribute that it is asked for.
    reasons: dict[str, str] = vars(module).get(_DENSE, {})
    return reasons


def _is_prunable(module: nn.Module, leaf: str) -> bool:
    if leaf in _left_dense(module) or not getattr(module, leaf).is_floating_point():
        return False
    # A layer that computes its weight (weight norm, a parametrisation) has no parameter of that name.
    if isinstance(module, nn.MultiheadAttention):
        return leaf in _PROJECTIONS
    return isinstance(module, _OUTPUTS_FIRST + _INPUTS_FIRST) and leaf == "weight"


def _reason(module: nn.Module, leaf: str) -> str:
    kind = type(module).__name__
    if (reason := _left_dense(module).get(leaf)) is not None:
        return reason
    if not getattr(module, leaf).is_floating_point():
        return f"it holds {getattr(module, leaf).dtype}, no real numbers".replace("torch.", "")
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return f"recurrent weights of {kind}"
    if isinstance(module, (ParametrizationList, *_OUTPUTS_FIRST, *_INPUTS_FIRST)):
        return COMPUTED
    if type(module).__module__.startswith("torch.nn."):
        return kind
    return f"parameter of {kind} outside any layer"
