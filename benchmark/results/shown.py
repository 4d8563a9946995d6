"""Numbers that show themselves: as text, as a table, and as the figure of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Shown(ABC):
    """frame: the numbers."""

    frame: pd.DataFrame

    @property
    @abstractmethod
    def figure(self) -> Figure:
        """The numbers as a figure."""

    def __repr__(self) -> str:
        return str(self.frame.to_string(index=False))

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(index=False))

    def _repr_png_(self) -> bytes:
        from benchmark.reports.figures import as_png

        return as_png(self.figure)
