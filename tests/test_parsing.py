import pytest

from gendiff_lib.parsing import real_number, whole_number


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("7", 7), ("-1", -1), ("1234567890", 1234567890), ("9" * 4000, 10**4000 - 1)],
)
def test_whole_numbers_in_ascii_digits(text, value):
    assert whole_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "--1",
        "-01",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "007",
        "00",
        "1.0",
        "1e3",
        "²",
        "٣٢",
        "３２",
        "9" * 5000,
        "0x10",
    ],
)
def test_what_is_no_plain_whole_number(text):
    assert whole_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("-1", -1.0), ("+2", 2.0), (".5", 0.5), ("3.", 3.0), ("2e-4", 2e-4), ("1E3", 1000.0), ("007", 7.0)],
)
def test_real_numbers_in_ascii_digits(text, value):
    assert real_number(text) == value


@pytest.mark.parametrize(
    "text", ["", ".", "e3", "nan", "inf", "-inf", "Infinity", "1_000", "1e999", " 1", "1\n", "٣", "1,5", "1e", "0x1p3"]
)
def test_what_is_no_plain_finite_number(text):
    assert real_number(text) is None
