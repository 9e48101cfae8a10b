"""What a program means: its calls one after the other, each a fresh NumPy call. And programs made by hand."""

from dataclasses import dataclass

import numpy as np

from tinygrad_lite.compiler.program import Program, Value, compute


@dataclass
class Result:
    """What a program leaves: outputs, gradients, and by place the inputs that it changes."""

    outputs: list
    gradients: list
    writes: dict


def evaluate(program, arrays, numbers=()):
    """Run the program on copies of the arrays, with these hyperparameters."""
    numbers, arrays = dict(numbers), [np.copy(a, order="K") for a in arrays]
    known = dict(zip(program.inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        for value in program.values():
            if value.op == "constant":
                known[value] = value.params["data"]
            elif value.op == "number":
                known[value] = float(numbers[value.params["source"]])
            elif value.op == "draw":
                draw = getattr(value.params["generator"].numpy, value.params["method"])
                known[value] = draw(*value.params["args"], **value.params["kwargs"])
            elif value.op != "input":
                known[value] = compute(value, *(known[x] for x in value.inputs))

    def found(value):
        return np.asarray(known[value]).astype(value.dtype)

    return Result(
        [found(v) for v in program.outputs],
        [found(v) for _, v in program.gradients],
        {place: found(v) for place, v in program.writes},
    )


def everything(result):
    return [*result.outputs, *result.gradients, *result.writes.values()]


def assert_bitwise_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


class Maker:
    """Makes the values of a program; shapes, dtypes and layouts are those that NumPy gives for example arrays."""

    def __init__(self):
        self.program, self.examples = Program(), {}

    @property
    def arrays(self):
        """Copies of the example arrays of the inputs, in their layout."""
        return [np.copy(self.examples[x], order="K") for x in self.program.inputs]

    def input(self, array, name=None, kind="state"):
        place = len(self.program.inputs)
        value = Value("input", (), array.shape, array.dtype, array.strides, place=place)
        self.program.inputs.append(value)
        self.program.names.append(name or f"x{place}")
        self.program.kinds.append(kind)
        self.examples[value] = array
        return value

    def constant(self, array):
        return self._made("constant", (), array, data=array)

    def number(self, source, example=0.5):
        value = Value("number", (), (), np.float64, position=len(self.examples), source=source)
        self.examples[value] = example
        return value

    def draw(self, generator, method, *args, **kwargs):
        example = getattr(np.random.default_rng(0), method)(*args, **kwargs)
        return self._made("draw", (), example, generator=generator, method=method, args=args, kwargs=kwargs)

    def call(self, op, *inputs, **params):
        """A call of values and Python numbers, by its name in the program."""
        ufunc = getattr(np, op, None)
        if isinstance(ufunc, np.ufunc) and op != "matmul":
            kinds = [self._kind(x) for x in inputs]
            dtypes = ufunc.resolve_dtypes((*kinds, None))
            params = {"dtypes": dtypes, "forced": False, **params}
        else:
            dtypes = [np.asarray(x).dtype for x in inputs if not isinstance(x, Value)] or [np.dtype("f4")]
        inputs = [
            x if isinstance(x, Value) else self._literal(x, dtypes[min(i, len(dtypes) - 1)])
            for i, x in enumerate(inputs)
        ]
        shape, dtype = params.pop("shape", ()), params.pop("dtype", np.float32)
        arrays = [self.examples[x] for x in inputs]
        with np.errstate(all="ignore"):
            array = compute(Value(op, inputs, shape, dtype, **params), *arrays)
        return self._made(op, inputs, array, **params)

    def reduce(self, op, x, axis, keepdims=False, initial=None):
        return self.call(f"{op}.reduce", x, axis=axis, keepdims=keepdims, initial=initial, computed_in=None)

    def reshape(self, x, *shape):
        return self.call("reshape", x, shape=shape)

    def transpose(self, x, *axes):
        return self.call("transpose", x, axes=axes or tuple(range(x.ndim))[::-1])

    def slice(self, x, *key):
        return self.call("slice", x, key=(*key, Ellipsis))

    def _kind(self, x):
        if isinstance(x, Value):
            return float if x.op == "number" else x.dtype
        return np.dtype(bool) if isinstance(x, bool) else type(x)

    def _literal(self, data, dtype):
        value = Value("constant", (), (), dtype, position=len(self.examples), data=data)
        self.examples[value] = data
        return value

    def _made(self, op, inputs, array, **params):
        array = array if isinstance(array, tuple) else np.asarray(array)
        like = np.empty(()) if isinstance(array, tuple) else array
        value = Value(op, inputs, like.shape, like.dtype, like.strides, position=len(self.examples), **params)
        self.examples[value] = array
        return value
