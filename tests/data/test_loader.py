"""The DataLoader: batches, epochs, permutations, and what it refuses."""

import inspect
from itertools import chain

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split

COUNT = 10
ROWS = np.arange(COUNT * 3, dtype=np.float32).reshape(COUNT, 3)


class Items(Dataset):
    """The rows of a TensorDataset, known to the loader only one by one."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, index):
        assert type(index) is int
        return self.dataset[index]

    def __len__(self):
        return len(self.dataset)


class Stream:
    """Numbers without a length."""

    def __iter__(self):
        return iter(range(COUNT))


def tensors():
    return TensorDataset(tl.from_numpy(ROWS.copy()), tl.arange(COUNT))


DATASETS = {
    "in memory": tensors,
    "item by item": lambda: Items(tensors()),
    "subset": lambda: Subset(tensors(), list(range(COUNT))),
    "subset of a subset": lambda: Subset(Subset(tensors(), range(COUNT - 1, -1, -1)), range(COUNT - 1, -1, -1)),
    "subset item by item": lambda: Subset(Items(tensors()), range(COUNT)),
}


@pytest.fixture(params=DATASETS.values(), ids=DATASETS)
def dataset(request):
    return request.param()


def numbers(loader):
    """The labels, batch by batch, after a check that every row came with its label."""
    batches = []
    for x, y in loader:
        assert x.dtype == tl.float32
        assert y.dtype == tl.int64
        assert np.array_equal(x.numpy(), ROWS[y.numpy()])
        batches.append(y.tolist())
    return batches


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (4, False, [4, 4, 2]),
        (4, True, [4, 4]),
        (5, False, [5, 5]),
        (5, True, [5, 5]),
        (1, False, [1] * 10),
        (10, True, [10]),
        (11, False, [10]),
        (11, True, []),
        (np.int64(4), False, [4, 4, 2]),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches(dataset, batch_size, drop_last, sizes, shuffle):
    loader = DataLoader(dataset, batch_size, shuffle, drop_last=drop_last)
    batches = numbers(loader)
    assert [len(batch) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    seen = list(chain(*batches))
    if shuffle:
        assert len(set(seen)) == sum(sizes)
    else:
        assert seen == list(range(sum(sizes)))


def test_the_default_is_one_sample_per_batch(dataset):
    assert numbers(DataLoader(dataset)) == [[i] for i in range(COUNT)]


def test_a_batch_is_a_list_as_in_pytorch(dataset):
    assert all(type(batch) is list for batch in DataLoader(dataset, batch_size=4))


def test_batches_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.utils.data.TensorDataset(torch.from_numpy(ROWS), torch.arange(COUNT))
    expected = [[field.numpy() for field in batch] for batch in torch.utils.data.DataLoader(theirs, batch_size=4)]
    for ours, batch in zip(DataLoader(tensors(), batch_size=4), expected, strict=True):
        assert all(np.array_equal(mine.numpy(), field) for mine, field in zip(ours, batch, strict=True))


# ---- randomness


def test_every_epoch_is_a_new_permutation(dataset):
    loader = DataLoader(dataset, batch_size=3, shuffle=True)
    epochs = [list(chain(*numbers(loader))) for _ in range(5)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 5


def test_the_order_follows_the_generator(dataset):
    def epochs(seed):
        loader = DataLoader(dataset, batch_size=4, shuffle=True, generator=tl.Generator().manual_seed(seed))
        return numbers(loader), numbers(loader)

    assert epochs(0) == epochs(0)
    assert epochs(0) != epochs(1)


def test_the_order_follows_the_global_seed(dataset):
    loader = DataLoader(dataset, batch_size=4, shuffle=True)
    tl.manual_seed(5)
    first, second = numbers(loader), numbers(loader)
    tl.manual_seed(5)
    assert numbers(loader) == first != second


def test_the_way_of_loading_does_not_change_the_order():
    def order(make):
        generator = tl.Generator().manual_seed(0)
        return numbers(DataLoader(make(), batch_size=4, shuffle=True, generator=generator))

    assert all(order(make) == order(tensors) for make in DATASETS.values())


def test_the_order_is_drawn_when_the_epoch_begins():
    loader = DataLoader(tensors(), batch_size=COUNT, shuffle=True)
    tl.manual_seed(1)
    epoch = iter(loader)
    tl.manual_seed(2)
    (_, drawn_first) = next(epoch)
    tl.manual_seed(1)
    assert numbers(loader) == [drawn_first.tolist()]


def test_without_shuffle_no_random_number_is_used():
    tl.manual_seed(0)
    expected = tl.rand(3).tolist()
    tl.manual_seed(0)
    numbers(DataLoader(tensors()))
    assert tl.rand(3).tolist() == expected


def test_two_epochs_at_once_do_not_disturb_each_other(dataset):
    loader = DataLoader(dataset, batch_size=4)
    pairs = [(a[1].tolist(), b[1].tolist()) for a, b in zip(loader, loader, strict=True)]
    assert [a for a, _ in pairs] == [b for _, b in pairs] == numbers(loader)


# ---- memory


@pytest.mark.parametrize("shuffle", [False, True])
def test_work_in_place_on_a_batch_leaves_the_data_alone(dataset, shuffle):
    for x, y in DataLoader(dataset, batch_size=COUNT, shuffle=shuffle):
        x.numpy()[...] = -1
        y.numpy()[...] = -1
    assert sorted(chain(*numbers(DataLoader(dataset, batch_size=4)))) == list(range(COUNT))


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_contiguous_whatever_the_data_is(shuffle):
    columns = TensorDataset(tl.from_numpy(np.asfortranarray(ROWS)), tl.from_numpy(np.arange(20)[::2]))
    for x, y in DataLoader(columns, batch_size=4, shuffle=shuffle):
        assert x.numpy().flags.c_contiguous
        assert y.numpy().flags.c_contiguous


def test_the_in_memory_path_never_asks_for_a_single_sample(monkeypatch):
    dataset = tensors()
    monkeypatch.setattr(TensorDataset, "__getitem__", None)
    assert numbers(DataLoader(Subset(dataset, [4, 2, 7]), batch_size=2)) == [[4, 2], [7]]


def test_a_subclass_of_a_tensor_dataset_computes_its_own_samples():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            (x,) = super().__getitem__(index)
            return (2 * x,)

    (batch,) = DataLoader(Doubled(tl.arange(4)), batch_size=4)
    assert batch[0].tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("shuffle", [False, True])
def test_gradients_reach_data_that_requires_them(shuffle):
    x = tl.ones(COUNT, 2, requires_grad=True)
    for number, (batch,) in enumerate(DataLoader(TensorDataset(x), batch_size=5, shuffle=shuffle)):
        ((number + 1) * batch).sum().backward()
    assert sorted(x.grad.numpy()[:, 0].tolist()) == [1.0] * 5 + [2.0] * 5


# ---- other data


def test_parts_of_a_random_split():
    train, test = random_split(tensors(), [0.7, 0.3], tl.Generator().manual_seed(0))
    seen = [list(chain(*numbers(DataLoader(part, batch_size=2, shuffle=True)))) for part in (train, test)]
    assert [len(part) for part in seen] == [7, 3]
    assert sorted(seen[0] + seen[1]) == list(range(COUNT))


def test_a_list_of_dicts():
    samples = [{"x": np.full(2, i, np.float32), "y": i, "name": str(i)} for i in range(3)]
    first, last = DataLoader(samples, batch_size=2)
    assert first["x"].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert first["y"].tolist() == [0, 1]
    assert last["name"] == ["2"]


def test_collate_fn():
    loader = DataLoader(tensors(), batch_size=4, collate_fn=lambda samples: [int(y) for _, y in samples])
    assert list(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert numbers(DataLoader(tensors(), batch_size=4, collate_fn=default_collate))[2] == [8, 9]


def test_no_batch_size_gives_the_samples_as_they_are():
    samples = [object(), "b", 3]
    assert list(DataLoader(samples, batch_size=None)) == samples
    assert len(DataLoader(samples, batch_size=None)) == 3
    assert list(DataLoader([1, 2], batch_size=None, collate_fn=str)) == ["1", "2"]
    assert [y.item() for _, y in DataLoader(tensors(), batch_size=None)] == list(range(COUNT))
    assert sorted(DataLoader(list(range(9)), batch_size=None, shuffle=True)) == list(range(9))


def test_data_without_a_length_is_iterated():
    loader = DataLoader(Stream(), batch_size=4)
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [len(batch) for batch in DataLoader(Stream(), batch_size=4, drop_last=True)] == [4, 4]
    assert list(DataLoader(Stream(), batch_size=None)) == list(range(COUNT))
    with pytest.raises(TypeError, match="len"):
        len(loader)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("make", [lambda: TensorDataset(tl.zeros(0, 3)), list], ids=["tensors", "list"])
def test_an_empty_data_set_has_no_batches(make, shuffle):
    loader = DataLoader(make(), batch_size=4, shuffle=shuffle)
    assert len(loader) == 0
    assert list(loader) == []


# ---- what is refused


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, "2", True])
def test_a_batch_size_that_is_none(batch_size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer, or None, not"):
        DataLoader(tensors(), batch_size)


def test_drop_last_without_batches():
    with pytest.raises(ValueError, match="drop_last=True without batches"):
        DataLoader(tensors(), batch_size=None, drop_last=True)


def test_shuffle_without_a_length():
    with pytest.raises(TypeError, match="shuffle=True needs to know how many samples there are: give Stream a __len__"):
        DataLoader(Stream(), shuffle=True)


@pytest.mark.parametrize("dataset", [iter([1, 2]), (i for i in range(3)), 5, None])
def test_data_that_cannot_be_read_twice(dataset):
    with pytest.raises(TypeError, match=f"a {type(dataset).__name__} cannot be read again for each epoch"):
        DataLoader(dataset)


@pytest.mark.parametrize("generator", [0, np.random.default_rng(0)])
def test_a_generator_of_another_kind(generator):
    with pytest.raises(TypeError, match=r"generator must be a tl.Generator, not (int|Generator)"):
        DataLoader(tensors(), shuffle=True, generator=generator)


def test_options_of_pytorch_with_their_defaults_change_nothing():
    options = {"num_workers": 0, "pin_memory": False, "sampler": None, "timeout": 0, "persistent_workers": False}
    assert numbers(DataLoader(tensors(), 4, **options)) == numbers(DataLoader(tensors(), 4))


@pytest.mark.parametrize(
    "option",
    [{"num_workers": 4}, {"pin_memory": True}, {"prefetch_factor": 2}, {"persistent_workers": True}, {"sampler": [0]}],
)
def test_options_of_pytorch_that_are_not_offered(option):
    ((name, value),) = option.items()
    with pytest.raises(NotImplementedError, match=rf"{name}={value}.* is not offered".replace("[", r"\[")):
        DataLoader(tensors(), **option)


def test_options_that_nobody_has():
    with pytest.raises(TypeError, match="unexpected keyword argument 'batchsize'"):
        DataLoader(tensors(), batchsize=4)


def test_every_option_of_pytorch_is_known():
    torch = pytest.importorskip("torch")
    theirs = inspect.signature(torch.utils.data.DataLoader).parameters
    for name, parameter in theirs.items():
        if name not in ("dataset", "self"):
            DataLoader(tensors(), **{name: parameter.default})
