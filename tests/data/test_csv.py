"""The CSV reader, on files that the tests write."""

import numpy as np
import pytest

from tinygrad_lite.datasets import read_csv


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


TABLE = "X1,X2,Class\n1.5,-2,0\n0.25,1e3,1\n"


def test_features_and_target(write):
    features, target = read_csv(write(TABLE), target="Class")
    assert features.dtype == target.dtype == np.float32
    assert features.tolist() == [[1.5, -2.0], [0.25, 1000.0]]
    assert target.tolist() == [0.0, 1.0]


def test_a_target_in_the_middle(write):
    features, target = read_csv(write(TABLE), target="X2")
    assert features.tolist() == [[1.5, 0.0], [0.25, 1.0]]
    assert target.tolist() == [-2.0, 1000.0]


def test_columns_by_name(write):
    columns = read_csv(write(TABLE))
    assert list(columns) == ["X1", "X2", "Class"]
    assert {name: column.tolist() for name, column in columns.items()} == {
        "X1": [1.5, 0.25],
        "X2": [-2.0, 1000.0],
        "Class": [0.0, 1.0],
    }


def test_one_row_and_one_column_keep_their_dimensions(write):
    features, target = read_csv(write("x,y\n1,2\n"), target="y")
    assert (features.shape, target.shape) == ((1, 1), (1,))
    assert read_csv(write("x\n1\n2\n"))["x"].shape == (2,)


@pytest.mark.parametrize(
    "text",
    [
        "X1,X2,Class\r\n1.5,-2,0\r\n0.25,1e3,1\r\n",
        "X1, X2 ,Class\n 1.5, -2 ,0\n0.25,1e3,1",
        '"X1","X2","Class"\n"1.5","-2","0"\n0.25,1e3,1\n',
        "X1,X2,Class\n\n1.5,-2,0\n\n0.25,1e3,1\n\n",
        "\ufeffX1,X2,Class\n1.5,-2,0\n0.25,1e3,1\n",
    ],
    ids=["windows", "spaces", "quotes", "blank lines", "byte order mark"],
)
def test_other_ways_to_write_the_same_table(write, text):
    assert list(read_csv(write(text))) == ["X1", "X2", "Class"]
    features, target = read_csv(write(text), target="Class")
    assert features.tolist() == [[1.5, -2.0], [0.25, 1000.0]]
    assert target.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", [np.float64, np.int64, "uint8", float])
def test_dtype(write, dtype):
    features, target = read_csv(write("a,b\n1,2\n3,4\n"), "b", dtype)
    assert features.dtype == target.dtype == np.dtype(dtype)
    assert features.tolist() == [[1], [3]]


def test_every_digit_counts(write):
    value = "0.1234567890123456"
    assert read_csv(write(f"x\n{value}\n"), dtype=np.float64)["x"][0] == float(value)


def test_not_a_number_is_a_number(write):
    column = read_csv(write("x\nnan\ninf\n"))["x"]
    assert np.isnan(column[0])
    assert column[1] == np.inf


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1 is empty, expected the names of the columns"),
        ("\n1,2\n", "line 1 is empty, expected the names of the columns"),
        ("a,b\n", "no rows under the column names a, b"),
        ("a,b\n\n  \n", "no rows under the column names a, b"),
        ("1.5,2\n3,4\n", "line 1 holds numbers, expected the names of the columns"),
        ("a,b,a\n1,2,3\n", "line 1 names a column twice: a, b, a"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, expected 2: a, b"),
        ("a,b\n\n1,2\n\n3,4,5\n", "line 5 has 3 fields, expected 2: a, b"),
        ("a,b\n1,2,3\n4,5,6\n", "line 2 has 3 fields, expected 2: a, b"),
        ("a,b\n1\n2\n", "line 2 has 1 fields, expected 2: a, b"),
        ("a,b\n1,2\n3,\n", "line 3, column 'b': '' is not a number of dtype float32"),
        ("a,b\n1,2\nred,4\n", "line 3, column 'a': 'red' is not a number of dtype float32"),
        ("a,b\n1,2\n3,4\n5,1_0\n", "line 4, column 'b': '1_0' is not a number"),
        ('a,b\n1,"2,5"\n', "line 2, column 'b': '2,5' is not a number"),
        ("a;b\n1;2\n", "line 2, column 'a;b': '1;2' is not a number"),
        ("a,b\n1,2 # two\n", "line 2, column 'b': '2 # two' is not a number"),
    ],
)
def test_wrong_files_say_where(write, text, says):
    with pytest.raises(ValueError, match=f"table.csv: {says}"):
        read_csv(write(text))


@pytest.mark.parametrize(("field", "dtype"), [("1.5", "int64"), ("300", "uint8"), ("-1", "uint8")])
def test_a_number_that_the_dtype_does_not_hold(write, field, dtype):
    with pytest.raises(ValueError, match=f"line 3, column 'b': '{field}' is not a number of dtype {dtype}"):
        read_csv(write(f"a,b\n1,2\n3,{field}\n"), dtype=dtype)


@pytest.mark.parametrize(("asked", "nearest"), [("class", "Class"), ("X22", "X2"), ("Klass", "Class")])
def test_a_missing_column_suggests_the_nearest(write, asked, nearest):
    with pytest.raises(ValueError, match=f"no column '{asked}', did you mean '{nearest}'.* X1, X2, Class"):
        read_csv(write(TABLE), target=asked)


def test_a_file_that_is_no_text(write):
    with pytest.raises(ValueError, match=r"table.csv: not a text file in UTF-8"):
        read_csv(write("größe\n1\n", encoding="latin-1"))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_csv(tmp_path / "nowhere.csv")


def test_a_dtype_that_is_not_supported(write):
    with pytest.raises(TypeError, match="complex"):
        read_csv(write(TABLE), dtype=complex)
