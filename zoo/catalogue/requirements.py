"""What a recipe must say, or leave unsaid, for what is made by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalogue.recipes import Recipe


def require_divisible(kept: int, chains: int, what: str) -> None:
    """Raises ValueError where not as many samples are kept of each chain."""
    if kept % chains:
        raise ValueError(f"{what} keeps as many samples of each of {chains} chains, which {kept} are not")


def require_ordinary(recipe: Recipe, what: str) -> None:
    """Raises ValueError for a recipe of a network that is Bayesian by its layers."""
    if recipe.architecture.startswith("bayesian-"):
        raise ValueError(f"{what} is of ordinary networks; {recipe.architecture} is a posterior already")


def require_prior(recipe: Recipe, what: str) -> None:
    """Raises ValueError for a recipe without a prior."""
    if recipe.prior is None:
        raise ValueError(f"{what} is of a posterior: say prior, the standard deviation of every weight's")


def require_all_images(recipe: Recipe, what: str) -> None:
    """Raises ValueError for a recipe that does not take all images at once."""
    if recipe.prior is None or recipe.images is None or recipe.batch_size != recipe.images:
        raise ValueError(f"{what} is of a posterior given all images at once: say prior, images, batch_size=images")


def require_as_they_are(recipe: Recipe, what: str, but: tuple[str, ...] = ()) -> None:
    """Raises ValueError for an option under which there would be another posterior, or none. but: those that may be."""
    names = ("rho", "draws", "adversarial", "flips", "shifts", "precision", "start_from", "optimizer")
    for name in (name for name in names if name not in but):
        if recipe.is_set(name):
            raise ValueError(f"{name}={getattr(recipe, name)} is not for {what}, whose images are as they are")
