"""What all optimizers share: parameter groups, state, and the loop over parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lite.autograd.modes import enable_grad, thread
from tinygrad_lite.autograd.tensor import Array, Tensor, wrap
from tinygrad_lite.nn.parameter import zero_gradients
from tinygrad_lite.optim.scratch import Scratch

__all__ = ["Optimizer", "as_number"]

ParameterGroup = dict[str, Any]
Parameters = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[ParameterGroup]


class Optimizer:
    """The base class of optimizers.

    A subclass passes its hyperparameters as ``defaults`` and defines ``_update``, which changes one
    parameter. It does so by NumPy functions with ``out=`` alone: nothing is allocated after the
    first step, and a step can be recorded through NumPy's protocols. What such a function returns
    is used instead of what ``out`` named, since it may be a recording array.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to train. A dict is a group: its ``"params"`` and hyperparameters of its own.
    defaults : dict
        The hyperparameters of groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        The parameters and the hyperparameters they are trained with; these may be changed between steps.
    state : dict of Tensor to dict
        What an optimizer remembers for each parameter.

    Raises
    ------
    TypeError
        If something is not a Tensor.
    ValueError
        For no parameters, a computed tensor, a parameter given twice, or a hyperparameter out of range.
    """

    def __init__(self, params: Parameters, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("an optimizer takes an iterable of Tensors, not a single one: write [tensor]")
        if not isinstance(params, Iterable):
            raise TypeError(
                f"an optimizer takes an iterable of Tensors, not a {type(params).__name__}: write model.parameters()"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[ParameterGroup] = []
        self._scratch = Scratch()
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(
                "the optimizer got an empty parameter list: is the model without parameters, or the iterator used up?"
            )
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: ParameterGroup) -> None:
        """Train further parameters, with hyperparameters of their own.

        Parameters
        ----------
        param_group : dict
            ``"params"``: a Tensor or an iterable as in the constructor; and any hyperparameters.

        Raises
        ------
        TypeError, ValueError
            As the constructor.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"a parameter group is a dict, not {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError("parameters come in an order: use a list, not a set")
        group = {
            **self.defaults,
            **param_group,
            **_names_and_tensors([params] if isinstance(params, Tensor) else params),
        }
        self._check_parameters(group)
        self._check_hyperparameters(group)
        self.param_groups.append(group)

    def _check_parameters(self, group: ParameterGroup) -> None:
        if self.param_groups and ("param_names" in group) != ("param_names" in self.param_groups[0]):
            raise ValueError("either all parameter groups have names or none")
        seen = set(self._parameters())
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"an optimizer trains Tensors, not {type(parameter).__name__}")
            if not parameter.is_leaf:
                raise ValueError(
                    f"the tensor of shape {parameter.shape} is computed, not a leaf: changing it would train nothing; "
                    "give the tensors that it was computed from"
                )
            if parameter in seen:
                raise ValueError(f"the parameter of shape {parameter.shape} is given more than once")
            seen.add(parameter)

    def _check_hyperparameters(self, group: ParameterGroup) -> None:
        """Raise ValueError for hyperparameters out of range; subclasses add theirs."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if not group.get(name, 0) >= 0:
                raise ValueError(f"{name} must not be negative, got {group[name]}")

    def _parameters(self) -> Iterator[Tensor]:
        return (parameter for group in self.param_groups for parameter in group["params"])

    # ---- training

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient, in place.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and the gradients; it is called first, with gradients enabled.

        Returns
        -------
        object
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        thread.run(self._update_all)
        return loss

    def _update_all(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter._grad is not None:
                    self._update(parameter._array, parameter._grad._array, self.state[parameter], group)
                    parameter._version[0] += 1

    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: ParameterGroup) -> None:
        """Change one parameter in place; its ``state`` is empty at first."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor _update()")

    def _objective_gradient(self, parameter: Array, gradient: Array, weight_decay: float, maximize: bool) -> Array:
        """The gradient of what is minimised: negated to maximise, plus that of an L2 penalty.

        It lies in scratch memory, or is the very gradient.
        """
        if weight_decay:
            penalty = np.multiply(parameter, weight_decay, out=self._scratch.like(parameter))
            return (np.subtract if maximize else np.add)(penalty, gradient, out=penalty)
        return np.negative(gradient, out=self._scratch.like(parameter)) if maximize else gradient

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to 0 in place."""
        zero_gradients(self._parameters(), set_to_none)

    # ---- saving

    def state_dict(self) -> dict[str, Any]:
        """State and hyperparameters, with parameters as numbers in the order in which they were given.

        Examples
        --------
        >>> import tinygrad_lite as tl
        >>> optimizer = tl.optim.SGD(tl.nn.Linear(3, 2).parameters(), lr=0.1)
        >>> state = optimizer.state_dict()
        >>> state["param_groups"][0]["params"], state["param_groups"][0]["lr"]
        ([0, 1], 0.1)
        """
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        return {
            "state": {numbers[parameter]: dict(state) for parameter, state in self.state.items() if state},
            "param_groups": [
                {**group, "params": [numbers[parameter] for parameter in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a saved state; its tensors are copied, in the dtype of their parameter.

        Parameters
        ----------
        state_dict : dict
            As :meth:`state_dict` gives it, of an optimizer with the same number of parameters.

        Raises
        ------
        ValueError
            If the groups are other in number or size, or a state belongs to another shape.
        """
        saved = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved]
        if sizes != saved_sizes:
            raise ValueError(
                f"the saved parameter groups have {saved_sizes} parameters, those of this optimizer {sizes}"
            )
        parameters = dict(zip((n for group in saved for n in group["params"]), self._parameters(), strict=True))
        for number, state in state_dict["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.ndim and value.shape != parameters[number].shape:
                    raise ValueError(
                        f"the saved {name} of parameter {number} has shape {value.shape}, the parameter "
                        f"{parameters[number].shape}: this state is of another model"
                    )
        self.state = defaultdict(dict)
        for number, state in state_dict["state"].items():
            parameter = parameters[number]
            self.state[parameter] = {name: _loaded(name, value, parameter) for name, value in state.items()}
        self.param_groups = [
            {**theirs, **{name: ours[name] for name in ("params", "param_names") if name in ours}}
            for ours, theirs in zip(self.param_groups, saved, strict=True)
        ]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines += [f"Parameter Group {number}"]
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def as_number(value: Any) -> float:
    """A hyperparameter as a Python float, which widens no array; one that records how it is used stays as it is."""
    return value if isinstance(value, float) and not isinstance(value, np.generic) else float(value)


def _names_and_tensors(params: Iterable[Any]) -> ParameterGroup:
    """Parameters, or pairs of name and parameter, as entries of a group."""
    params = list(params)
    named = [isinstance(item, tuple) for item in params]
    if not any(named):
        return {"params": params}
    if not all(named):
        raise ValueError(
            "either all parameters have names or none: some of these are pairs (name, parameter), some are not"
        )
    return {"params": [tensor for _, tensor in params], "param_names": [name for name, _ in params]}


def _loaded(name: str, value: Any, parameter: Tensor) -> Any:
    """A state value of the optimizer's own; only the step count keeps its dtype."""
    if not isinstance(value, Tensor):
        return value
    return wrap(np.array(value._array, dtype=None if name == "step" else parameter.dtype))
