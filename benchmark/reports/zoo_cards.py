"""The page about the zoo itself, from the model cards: accuracies beside their goals, posteriors, draws."""

from __future__ import annotations

from typing import Any

from benchmark.reports.page import render_page
from benchmark.reports.shares import percent
from benchmark.reports.tables import markdown
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
        draws=markdown(_by_draws(bayesian)),
        gradients=markdown(
            [{"entry": name, **results["gradient_norm_by_draws"]} for name, results in bayesian.items()]
        ),
        notes=[{"entry": name, "text": text} for name, card in by_name.items() if (text := _note(card))],
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
        "epochs": _epochs(card["recipe"]),
    }


def _posterior(name: str, card: dict[str, Any]) -> dict[str, object]:
    recipe, posterior = card["recipe"], card["results"]["posterior"]
    weight = f"{recipe['kl_constant']:g}" if recipe["kl_weighting"] == "constant" else recipe["kl_weighting"]
    by = f"KL weight {weight}" if (sampling := card.get("sampling")) is None else _by(sampling)
    return {
        "entry": name,
        "approximated by": by,
        "means begin at": recipe.get("start_from") or "",
        "mutual information, nats": f"{posterior['mutual_information_nats']:.4f}",
        "mean sigma over mean abs. mu": ", ".join(
            f"{layer} {ratio:.3g}" for layer, ratio in posterior["sigma_over_abs_mu"].items()
        ),
    }


def _by_draws(bayesian: dict[str, dict[str, Any]]) -> list[dict[str, object]]:
    """Accuracy by the number of draws, a line an entry; of Monte-Carlo samples there are as many as there are."""
    numbers = sorted({int(draws) for results in bayesian.values() for draws in results["accuracy_by_draws"]})
    lines: list[dict[str, object]] = []
    for name, results in bayesian.items():
        values = results["accuracy_by_draws"]
        by_number = {str(n): f"{100 * values[str(n)]:.2f}" if str(n) in values else "" for n in numbers}
        lines.append({"entry": name, **by_number})
    return lines


def _epochs(recipe: dict[str, Any]) -> str:
    """How long it was trained: epochs; iterations of a chain; nothing where an optimiser went on until it converged."""
    if "hmc" in (recipe.get("sampler") or {}) or recipe.get("hmc") is not None:
        return f"{recipe['epochs']} iterations"
    return "until converged" if recipe.get("optimizer") == "l-bfgs" else str(recipe["epochs"])


def _note(card: dict[str, Any]) -> str:
    """What a reader must know of a network; of samples how the chains went."""
    sampling, note = card.get("sampling"), str(card.get("note", ""))
    if sampling is None:
        return note
    went = f"{sampling['samples']} samples, of which {sampling['kept']} are kept"
    if (chains := sampling["chains"]) > 1:
        went = f"{chains} chains of {sampling['samples'] // chains} samples, of which {sampling['kept']} are kept"
    if "acceptance" in sampling:
        went += (
            f"; acceptance {sampling['acceptance']:.2f}, step {sampling['step_size']:.4f}, "
            f"{sampling['leapfrogs']} leapfrogs"
        )
    went += "."
    if (agree := sampling.get("test_log_probabilities")) is not None:
        went += (
            f" Test log-probabilities: split R-hat up to {agree['split_rhat_max']:.3f}, ESS from "
            f"{agree['ess_min']:.0f}, median {agree['ess_median']:.0f}: {sampling['conclusion']}."
        )
    return " ".join(filter(None, (note, went)))


def _by(sampling: dict[str, Any]) -> str:
    """By what sampler, of how many chains; cards from before there were several say no name."""
    title = sampling.get("sampler", "HMC")
    return f"{title}, {sampling['chains']} chains" if sampling["chains"] > 1 else title
