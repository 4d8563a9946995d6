"""The page about the zoo itself, from the model cards: accuracies beside their goals, posteriors, draws."""

from __future__ import annotations

from typing import Any

from benchmark.reports.page import render_page
from benchmark.reports.tables import markdown, percent
from benchmark.results.cards import cards
from benchmark.results.share import Share
from zoo.catalogue.recipes import GOALS, GOALS_UNDER_PGD40


def zoo_page() -> str:
    """Accuracies, posteriors, accuracy against draws."""
    by_name = cards()
    bayesian = {name: card["results"] for name, card in by_name.items() if "posterior" in card["results"]}
    return render_page(
        "zoo.md",
        accuracies=accuracy_table(),
        posteriors=markdown([_posterior(name, by_name[name]) for name in bayesian]),
        draws=markdown([{"entry": name, **_by_draws(results)} for name, results in bayesian.items()]),
        gradients=markdown(
            [{"entry": name, **results["gradient_norm_by_draws"]} for name, results in bayesian.items()]
        ),
        notes=[{"entry": name, "text": card["note"]} for name, card in by_name.items() if "note" in card],
    )


def accuracy_table() -> str:
    """Every entry's test accuracy beside its goal."""
    return markdown([_accuracy(name, card) for name, card in cards().items()])


def _accuracy(name: str, card: dict[str, Any]) -> dict[str, object]:
    results, goal = card["results"], GOALS.get(name)
    share = Share(round(results["accuracy"] * results["examples"]), results["examples"])
    under = results.get("pgd40")
    reached = goal is not None and share.value >= goal
    if name in GOALS_UNDER_PGD40:
        reached = reached and under["accuracy"] >= GOALS_UNDER_PGD40[name]
    return {
        "entry": name,
        "accuracy % [95 %]": percent(share, interval=True, digits=2),
        "to reach": "" if goal is None else f"{100 * goal:g}",
        "reached": "" if goal is None else "yes" if reached else "**no**",
        "PGD-40 %": "" if under is None else f"{100 * under['accuracy']:.2f}",
        "parameters": f"{card['parameters']:,}",
        "weights": card.get("weights", {}).get("dtype", "float32"),
        "epochs": card["recipe"]["epochs"],
    }


def _posterior(name: str, card: dict[str, Any]) -> dict[str, object]:
    recipe, posterior = card["recipe"], card["results"]["posterior"]
    weight = f"{recipe['kl_constant']:g}" if recipe["kl_weighting"] == "constant" else recipe["kl_weighting"]
    return {
        "entry": name,
        "KL weight": weight,
        "means begin at": recipe.get("start_from") or "",
        "mutual information, nats": f"{posterior['mutual_information_nats']:.4f}",
        "mean sigma over mean abs. mu": ", ".join(
            f"{layer} {ratio:.3g}" for layer, ratio in posterior["sigma_over_abs_mu"].items()
        ),
    }


def _by_draws(results: dict[str, Any]) -> dict[str, str]:
    return {draws: f"{100 * value:.2f}" for draws, value in results["accuracy_by_draws"].items()}
