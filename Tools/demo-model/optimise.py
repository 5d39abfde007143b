"""Weights in memory that several workers share, and the step that changes them: Muon for matrices, Adam for the rest.

Every worker computes gradients on its own pictures with one thread, and leaves them where the others see them; then it
changes its own share of the weights by the mean of all. Workers meet twice a step; nothing is copied between them.
"""

import torch

BETAS, MOMENTUM, DECAY = (0.9, 0.98), 0.95, 0.01


def orthogonal(matrices):
    """The nearest thing to an orthogonal matrix for each of [n, rows, columns], by five Newton-Schulz steps."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.float().norm(dim=(1, 2), keepdim=True).to(x.dtype) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if tall else x).float()


class Shared:
    """Named weights, one gradient of each a worker, and the optimiser's moments, all in shared memory."""

    def __init__(self, weights, workers):
        self.weights = {name: value.contiguous().share_memory_() for name, value in weights.items()}
        self.inner = {name for name, value in weights.items()
                      if value.dim() >= 2 and not any(part in name for part in ("embed_tokens", "lm_head", "head."))}
        empty = {name: torch.zeros_like(value) for name, value in weights.items()}
        self.gradients = [{name: value.clone().share_memory_() for name, value in empty.items()}
                          for _ in range(workers)]
        self.first = {name: value.clone().share_memory_() for name, value in empty.items()}
        self.second = {name: value.clone().share_memory_() for name, value in empty.items() if name not in self.inner}
        self.groups = self.dealt(workers)

    def dealt(self, workers):
        """For each worker: lists of equal matrices, and the names of everything else, about the same work for each."""
        shapes = {}
        for name in sorted(self.inner):
            value = self.weights[name]
            shapes.setdefault((value.shape[0], value[0].numel()), []).append(name)
        hands = [([], []) for _ in range(workers)]
        for names in shapes.values():
            for worker, (matrices, _) in enumerate(hands):
                if names[worker::workers]:
                    matrices.append(names[worker::workers])
        for index, name in enumerate(sorted(self.second, key=lambda name: self.weights[name].numel())):
            hands[index % workers][1].append(name)
        return hands

    def state(self):
        weights = {name: value.detach() for name, value in self.weights.items()}
        return {"weights": weights, "first": self.first, "second": self.second}

    @torch.no_grad()
    def restore(self, state):
        for part in ("weights", "first", "second"):
            for name, value in state[part].items():
                getattr(self, part)[name].copy_(value)

    def mean_gradient(self, name):
        total = self.gradients[0][name]
        for other in self.gradients[1:]:
            total = total + other[name]
        return total / len(self.gradients)

    @torch.no_grad()
    def change(self, worker, rate, step):
        """This worker's share of one step."""
        matrices, others = self.groups[worker]
        for names in matrices:
            stacked = []
            for name in names:
                gradient = self.mean_gradient(name)
                moment = self.first[name].lerp_(gradient, 1 - MOMENTUM)
                stacked.append(gradient.lerp(moment, MOMENTUM).flatten(1))
            update = orthogonal(torch.stack(stacked))
            scale = 0.2 * max(update.shape[1:]) ** 0.5
            for name, value in zip(names, update):
                weight = self.weights[name]
                weight.mul_(1 - rate * DECAY).add_(value.view(weight.shape), alpha=-rate * scale)
        for name in others:
            gradient = self.mean_gradient(name)
            first = self.first[name].lerp_(gradient, 1 - BETAS[0])
            second = self.second[name].lerp_(gradient * gradient, 1 - BETAS[1])
            first, second = first / (1 - BETAS[0] ** (step + 1)), second / (1 - BETAS[1] ** (step + 1))
            self.weights[name].add_(first / (second.sqrt() + 1e-8), alpha=-rate)
