"""Letters and figures as straight strokes, and words that are set from them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Segments = npt.NDArray[np.floating[Any]]  # x, y, x, y each

# each letter is one or more lines through points of a grid, four columns 0 to 3 by seven rows 0 to
# 6 from the top
STROKES = {
    "A": "06 20 36, 14 24",
    "B": "06 00 20 31 22 03, 22 33 35 26 06",
    "C": "31 20 10 01 05 16 26 35",
    "D": "06 00 20 32 34 26 06",
    "E": "30 00 06 36, 03 23",
    "F": "30 00 06, 03 23",
    "G": "31 20 10 01 05 16 26 35 33 23",
    "H": "00 06, 30 36, 03 33",
    "I": "10 16",
    "J": "30 35 26 16 05",
    "K": "00 06, 30 03 36",
    "L": "00 06 36",
    "M": "06 00 13 30 36",
    "N": "06 00 36 30",
    "O": "10 20 31 35 26 16 05 01 10",
    "P": "06 00 20 31 32 23 03",
    "R": "06 00 20 31 32 23 03, 13 36",
    "S": "31 20 10 01 02 34 35 26 16 05",
    "T": "00 30, 20 26",
    "U": "00 05 16 26 35 30",
    "V": "00 16 30",
    "W": "00 06 23 36 30",
    "X": "00 36, 30 06",
    "Y": "00 13 30, 13 16",
    "Z": "00 30 06 36",
    "2": "01 10 20 31 32 06 36",
    "4": "26 20 04 34",
    "7": "00 30 16",
    "a": "13 23 34 36 16 05 15 35",
    "c": "33 13 04 05 16 36",
    "e": "04 34 23 13 04 05 16 36",
    "h": "00 06, 03 23 34 36",
    "n": "06 03, 04 13 23 34 36",
    "o": "13 23 34 35 26 16 05 04 13",
    "r": "06 03, 04 13 33",
    "s": "33 13 04 35 26 06",
    "t": "11 15 26 36, 03 33",
    "u": "03 05 16 26 35, 33 36",
    "v": "03 16 33",
    "z": "03 33 06 36",
}
UPPER = "".join(letter for letter in STROKES if not letter.islower())
LOWER = "".join(letter for letter in STROKES if letter.islower())
ROWS, COLUMNS = 6, 3  # steps of the grid


def _parse(lines: str) -> Segments:
    segments = []
    for line in lines.split(","):
        points = [(int(each[0]) / COLUMNS, int(each[1]) / ROWS) for each in line.split()]
        segments += [(*first, *second) for first, second in pairwise(points)]
    return np.array(segments)


LETTERS = {letter: _parse(lines) for letter, lines in STROKES.items()}


def set_word(letters: str, *, width: float, gap: float, slant: float) -> Segments:
    """The strokes of a word of height 1 around the origin; `width` of a letter, `gap` between."""
    placed = []
    for place, letter in enumerate(letters):
        segments = LETTERS[letter] * [width, 1, width, 1]
        segments[:, [0, 2]] += place * (width + gap) + slant * (0.5 - segments[:, [1, 3]])
        placed.append(segments)
    word = np.concatenate(placed)
    total = len(letters) * width + (len(letters) - 1) * gap
    return word - [total / 2, 0.5, total / 2, 0.5]


def draw_word(rng: np.random.Generator, num_letters: int) -> str:
    """Letters at random: all capitals, all small, or a capital first."""
    case = rng.integers(3)
    letters = [UPPER if case == 0 else LOWER] * num_letters
    if case == 2:
        letters[0] = UPPER
    return "".join(each[int(rng.integers(len(each)))] for each in letters)
