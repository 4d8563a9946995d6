"""Training on all images at once, to convergence: what is at the maximum of a posterior must be at the maximum."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.catalogue.recipes import Recipe
from zoo.combine import answered
from zoo.training.loop import Training, gradient_norm, negative_log_prior

ITERATIONS, MEMORY = 200, 100  # of L-BFGS in an epoch; pairs of steps and gradients that it remembers


class FullBatch(Training):
    """Training by L-BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithm 7.5), in float64.

    An epoch is `ITERATIONS` iterations, or fewer where nothing is left to gain. The memory begins anew in each, so that
    the weights, in float32, are all that a checkpoint must hold.
    """

    def _epoch(self, epoch: int) -> dict[str, float]:
        recipe, (images, labels) = self.recipe, self.train
        x, exact = images.double() / 255, copy.deepcopy(self.network).double()
        exact.train()
        optimizer = torch.optim.LBFGS(
            exact.parameters(),
            lr=recipe.max_lr,
            max_iter=ITERATIONS,
            history_size=MEMORY,
            tolerance_grad=1e-9,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def loss_of() -> tuple[Tensor, Tensor]:
            logits = exact(x)
            loss = F.cross_entropy(logits, labels)
            if recipe.prior is not None:
                loss = loss + negative_log_prior(exact, recipe.prior) / len(labels)
            exact.zero_grad()
            loss.backward()
            return loss.detach(), logits

        optimizer.step(lambda: float(loss_of()[0]))
        self.network.load_state_dict(exact.state_dict())
        exact.load_state_dict(self.network.state_dict())  # the figures are those of the float32 weights
        loss, logits = loss_of()
        accuracy = (answered(logits, labels) == labels).double().mean()
        figures = {"loss": float(loss), "accuracy": float(accuracy), "gradient norm": gradient_norm(exact)}
        return {"epoch": epoch + 1.0, **figures}


def training_of(recipe: Recipe) -> type[Training]:
    """How one network is trained by a recipe."""
    return FullBatch if recipe.optimizer == "l-bfgs" else Training
