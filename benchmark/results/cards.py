"""What the model cards of the zoo say."""

from __future__ import annotations

from typing import Any

import pandas as pd

from zoo import models


def cards() -> dict[str, dict[str, Any]]:
    """Name -> card of the entries that this repository trained."""
    return {name: entry.card for name, entry in models.items() if not entry.is_external and entry.card}


def accuracy_by_draws() -> pd.DataFrame:
    """A row per Bayesian entry and number of draws."""
    return pd.DataFrame(
        [
            {"entry": name, "draws": int(draws), "accuracy": value, "images": card["results"]["examples"]}
            for name, card in cards().items()
            for draws, value in card["results"].get("accuracy_by_draws", {}).items()
        ]
    )
