"""TensorDataset, Subset and random_split."""

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.utils.data import Dataset, Subset, TensorDataset, random_split


@pytest.fixture
def dataset():
    return TensorDataset(tl.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), tl.tensor([10, 11, 12]))


def test_tensor_dataset(dataset):
    assert len(dataset) == 3
    x, y = dataset[1]
    assert (x.tolist(), y.item()) == ([2.0, 3.0], 11)
    assert [y.item() for _, y in dataset] == [10, 11, 12]
    with pytest.raises(IndexError):
        dataset[3]


def test_tensors_of_unequal_length_are_refused():
    with pytest.raises(AssertionError, match=r"shapes \(3, 2\), \(4,\) differ in their first dimension"):
        TensorDataset(tl.zeros(3, 2), tl.zeros(4))


@pytest.mark.parametrize(
    ("tensors", "error", "says"),
    [
        ((), ValueError, "at least one tensor"),
        ((np.zeros(3),), TypeError, "argument 0 is of type ndarray: make it a Tensor, with from_numpy"),
        (([1, 2],), TypeError, "argument 0 is of type list"),
    ],
)
def test_what_is_no_tensor_is_refused(tensors, error, says):
    with pytest.raises(error, match=says):
        TensorDataset(*tensors)


def test_a_tensor_without_dimensions_is_refused():
    with pytest.raises(ValueError, match="tensor 1 is 0-d"):
        TensorDataset(tl.zeros(1), tl.tensor(0.0))


def test_a_dataset_must_define_its_samples():
    with pytest.raises(NotImplementedError, match=r"Half must define __getitem__"):
        type("Half", (Dataset,), {})()[0]


@pytest.mark.parametrize("indices", [[2, 0, 2], range(2), np.array([1, -1]), (), []])
def test_subset(dataset, indices):
    subset = Subset(dataset, indices)
    assert len(subset) == len(indices)
    assert [y.item() for _, y in subset] == [[10, 11, 12][index] for index in indices]


def test_subset_by_a_tensor(dataset):
    assert [y.item() for _, y in Subset(dataset, tl.tensor([2, 1]))] == [12, 11]


def test_subset_of_a_subset(dataset):
    assert Subset(Subset(dataset, [2, 1]), [1, 0])[0][1].item() == 11


@pytest.mark.parametrize("indices", [[True, False, True], [0.0, 1.0], [[0, 1]], ["0"]])
def test_subset_wants_integers(dataset, indices):
    with pytest.raises(TypeError, match=r"Subset: indices must be a list of integers.*flatnonzero"):
        Subset(dataset, indices)


LENGTHS = [
    (10, [3, 7]),
    (10, [10]),
    (10, [0, 10]),
    (10, [0.5, 0.5]),
    (11, [0.5, 0.25, 0.25]),
    (10, [0.7, 0.2, 0.1]),
    (100, [0.29, 0.71]),
    (7, [0.1] * 10),
    (0, [0, 0]),
    (5, []),
    (4, [1.0]),
    (5, [1, 0]),
]


@pytest.mark.parametrize(("count", "lengths"), LENGTHS)
@pytest.mark.filterwarnings("ignore:.*(empty part|might result in an empty dataset)")
def test_random_split_has_the_sizes_of_pytorch(count, lengths):
    data = pytest.importorskip("torch").utils.data
    try:
        expected = [len(part) for part in data.random_split(range(count), lengths)]
    except ValueError:
        with pytest.raises(ValueError, match="random_split: lengths"):
            random_split(range(count), lengths)
    else:
        assert [len(part) for part in random_split(range(count), lengths)] == expected


def test_random_split_deals_every_sample_to_one_part():
    parts = random_split(range(100), [0.6, 0.3, 0.1])
    assert [len(part) for part in parts] == [60, 30, 10]
    dealt = [sample for part in parts for sample in part]
    assert sorted(dealt) == list(range(100))
    assert dealt != list(range(100))


def test_random_split_obeys_its_generator():
    def split(seed):
        return [list(part) for part in random_split(range(50), [20, 30], tl.Generator().manual_seed(seed))]

    assert split(1) == split(1)
    assert split(1) != split(2)


def test_random_split_obeys_the_global_seed():
    tl.manual_seed(3)
    first, second = random_split(range(50), [50]), random_split(range(50), [50])
    tl.manual_seed(3)
    assert list(random_split(range(50), [50])[0]) == list(first[0]) != list(second[0])


def test_fractions_that_miss_one_by_rounding_are_accepted():
    fractions = [0.1, 0.7, 0.2 + 2**-52]
    assert sum(fractions) > 1
    assert [len(part) for part in random_split(range(10), fractions)] == [1, 7, 2]


def test_an_empty_part_is_worth_a_warning():
    with pytest.warns(UserWarning, match=r"fraction 0.01 of 10 samples is an empty part"):
        parts = random_split(range(10), [0.99, 0.01])
    assert [len(part) for part in parts] == [10, 0]


@pytest.mark.parametrize("lengths", [[3, 6], [0.5, 0.4], [5.0, 5.0], [11, -1], [1.5, -0.5]])
def test_random_split_refuses_lengths_that_do_not_add_up(lengths):
    with pytest.raises(ValueError, match="random_split: lengths"):
        random_split(range(10), lengths)
