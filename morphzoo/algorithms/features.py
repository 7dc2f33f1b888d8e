"""What a policy-conditioned critic reads of a policy: FEATURES, name -> modules that are joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from morphzoo.policies.bank import PolicyBank
from morphzoo.policies.deterministic import DeterministicPolicy
from morphzoo.policies.weight_space import UniversalNeuralFunctional

PROBES = 200  # states in which a policy is looked at

#: Makes a module from the policies' architecture and keywords. It maps parameters float32[B, P] to
#: features float32[B, F], and has the attribute `num_features`, F.
MakeFeatures = Callable[..., nn.Module]


class Parameters(nn.Module):
    """The parameters themselves, shifted and scaled.

    The critic divides what differs between policies by how much of it there is: see
    `EPVF(scale_inputs=)`, which sets `shift` and `scale`.

    Args:
        policy: the architecture.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, policy: DeterministicPolicy) -> None:
        super().__init__()
        self.num_features = policy.num_parameters
        self.register_buffer("shift", torch.zeros(policy.num_parameters))
        self.register_buffer("scale", torch.ones(policy.num_parameters))

    def forward(self, thetas: torch.Tensor) -> torch.Tensor:
        """Features `float32[B, P]` of parameters `float32[B, P]`."""
        return (thetas - self.shift) * self.scale


class Responses(nn.Module):
    """What a policy does in some states, which a subclass chooses.

    Args:
        policy: the architecture.
        num_states: number of states.
    """

    states: torch.Tensor  # float32[num_states, O], as the network reads them

    def __init__(self, policy: DeterministicPolicy, num_states: int) -> None:
        super().__init__()
        self._policy = [policy]  # in a list: its parameters are none of the critic's
        self.num_features = num_states * policy.sizes[-1]

    def actions(self, thetas: torch.Tensor) -> torch.Tensor:
        """Actions `float32[B, num_states * A]` of policies `float32[B, P]`."""
        return PolicyBank(self._policy[0], thetas).responses(self.states).flatten(1)


class Probes(Responses):
    """What a policy does in states that the critic chooses: actions at learned probing states.

    Reordering a policy's hidden units changes nothing, and two architectures that compute the same
    function have the same features.

    Source: Faccio et al., "General Policy Evaluation and Improvement by Learning to Identify Few
        But Crucial States" (2022): 200 states, first values U[0, 1), read by the policy as they
        are. Probes in the scaled value function: Bohlinger and Peters (2025), section 3.
    Differs: first values are standard normal, which is how standardised observations lie.

    Args:
        policy: the architecture.
        num_probes: number of states.
    """

    def __init__(self, policy: DeterministicPolicy, num_probes: int = PROBES) -> None:
        if num_probes < 1:
            raise ValueError(f"num_probes must be at least 1, found {num_probes}")
        super().__init__(policy, num_probes)
        self.states = nn.Parameter(torch.randn(num_probes, policy.sizes[0]))

    def forward(self, thetas: torch.Tensor) -> torch.Tensor:
        """Features `float32[B, num_probes * A]` of parameters `float32[B, P]`."""
        return self.actions(thetas)


class Visited(Responses):
    """What a policy does in states that policies of its generation have met: actions there.

    A change of the parameters counts by as much as it changes what is done where policies go. So
    the critic's gradient, too, keeps to the directions that matter there: of a linear policy it is
    that of a plain critic times the covariance of the observations.

    Source: ours; probing states, which are learned, are those of `Probes`.

    Args:
        policy: the architecture.
        num_states: number of states, spread evenly over those that were met.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, policy: DeterministicPolicy, num_states: int = PROBES) -> None:
        if num_states < 1:
            raise ValueError(f"num_states must be at least 1, found {num_states}")
        super().__init__(policy, num_states)
        self.register_buffer("states", torch.zeros(num_states, policy.sizes[0]))
        self.register_buffer("shift", torch.zeros(self.num_features))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def visit(self, met: torch.Tensor, thetas: torch.Tensor) -> None:
        """Take other states.

        Features are centred, and all divided by one number, so that their variances add up to 1: an
        action that hardly differs between policies keeps its small say, and gradient descent of a
        linear critic is stable at any rate below 1.

        Args:
            met: float32[T, O], observations, as the environment gives them.
            thetas: float32[B, P], policies that features are centred on.
        """
        places = torch.linspace(0, len(met) - 1, len(self.states), device=met.device).long()
        self.states.copy_(self._policy[0].standardized(met[places]))
        actions = self.actions(thetas)
        self.shift.copy_(actions.mean(0))
        spread = (actions - self.shift).square().mean(0).sum().sqrt()
        self.scale.copy_(torch.where(spread > 0, 1 / spread, torch.zeros_like(spread)))

    def forward(self, thetas: torch.Tensor) -> torch.Tensor:
        """Features `float32[B, num_states * A]` of parameters `float32[B, P]`."""
        return (self.actions(thetas) - self.shift) * self.scale


class Joined(nn.Module):
    """Several features, one after another.

    Args:
        parts: what to join, by name.
    """

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.num_features: int = sum(part.num_features for part in parts.values())  # pyright: ignore

    def update_statistics(self, thetas: torch.Tensor) -> None:
        """Show policies `float32[B, P]` to those parts that standardise by what they have seen."""
        for part in self.parts.values():
            if isinstance(part, UniversalNeuralFunctional):
                part.update_statistics(thetas)

    def visit(self, met: torch.Tensor, thetas: torch.Tensor) -> None:
        """Show observations `float32[T, O]` to those parts that look at policies there."""
        for part in self.parts.values():
            if isinstance(part, Visited):
                part.visit(met, thetas)

    def forward(self, thetas: torch.Tensor) -> torch.Tensor:
        """Features `float32[B, F]` of parameters `float32[B, P]`."""
        return torch.cat([part(thetas) for part in self.parts.values()], dim=1)


def functional(policy: DeterministicPolicy, **keywords: Any) -> UniversalNeuralFunctional:
    """Make features that stay when hidden units change places.

    Args:
        policy: the architecture.
        **keywords: `channels` and `micro_batch` of `UniversalNeuralFunctional`.
    """
    network = UniversalNeuralFunctional(policy.sizes, **keywords)
    if network.layout.num_parameters != policy.num_parameters:
        raise ValueError(
            f"features='unf' read whole matrices and biases, {network.layout.num_parameters} "
            f"numbers, and a {type(policy).__name__} has {policy.num_parameters}: give a "
            "DeterministicPolicy"
        )
    return network


#: Name -> what makes it. `register_features` adds a row.
FEATURES: dict[str, MakeFeatures] = {
    "theta": Parameters,
    "probe": Probes,
    "visited": Visited,
    "unf": functional,
}


def register_features(name: str, make: MakeFeatures) -> None:
    """Add a row to `FEATURES`, to be named in `EPVF(features=)`.

    Args:
        name: a word, without "+".
        make: called with the policies' architecture and the keywords given in `features_kwargs`.

    Raises:
        ValueError: if the name is taken or is none.
    """
    if not name.isidentifier() or name in FEATURES:
        raise ValueError(f"features need a word of their own as name, found {name!r}")
    FEATURES[name] = make


def make_features(
    names: str, policy: DeterministicPolicy, kwargs: dict[str, dict[str, Any]]
) -> Joined:
    """Make the features that a string such as "probe+theta" names.

    Args:
        names: rows of `FEATURES`, joined by "+".
        policy: the architecture.
        kwargs: keywords of each, by name.

    Raises:
        ValueError: if a name is unknown or comes twice, or keywords are of features not asked for.
    """
    wanted = names.split("+")
    unknown = [name for name in wanted if name not in FEATURES]
    if unknown or len(set(wanted)) != len(wanted):
        raise ValueError(
            f"features: expected different names of {sorted(FEATURES)}, joined by '+', found "
            f"{names!r}"
        )
    if stray := sorted(kwargs.keys() - set(wanted)):
        raise ValueError(f"features_kwargs are of {stray}, and features are {wanted}")
    return Joined({name: FEATURES[name](policy, **kwargs.get(name, {})) for name in wanted})
