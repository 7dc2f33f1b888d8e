"""What residual networks cost: weights, arithmetic and memory, in closed form."""

from __future__ import annotations

import dataclasses
import math

from morphzoo.policies.residual import BLOCK, TrunkSettings

FLOAT = 4  # bytes
_ADAM = 4  # a weight, its gradient and Adam's two moments


def trunk_weights(settings: TrunkSettings, inputs: int) -> int:
    """Count the numbers in one network's trunk that reads so many inputs."""
    width, depth = settings.width, settings.depth
    norms = depth + 1 + settings.final_norm if settings.norm != "none" else 0
    return (inputs + 1) * width + depth * (width + 1) * width + 2 * norms * width


def trunk_flops(settings: TrunkSettings, inputs: int, batch: int) -> int:
    """Count the arithmetic of one network's forward pass: two for a product and its sum.

    Norms and activations, about 1 / W of it, are left out.
    """
    return 2 * batch * settings.width * (inputs + settings.depth * settings.width)


def kept_floats(settings: TrunkSettings, *, members: int = 1, frozen: bool = False) -> int:
    """Count what a block keeps of each row and each network until the gradient is taken.

    A linear map keeps what it reads, unless its weights are frozen; a norm what it reads, beside
    other networks what it makes as well; swish what it reads. ReLU keeps what it makes, which is
    what the next layer of its block reads. Exact for "layer" and "none", an upper bound for
    "hypersphere".
    """
    width, made = settings.width, 0
    read = 0 if frozen else BLOCK * width
    if settings.activation == "swish" or frozen:
        made = BLOCK * width
    elif settings.residual != "none":
        made = width  # of the last layer, to which the block's input is added
    if settings.norm == "none":
        return read + made
    copies = 1 if members == 1 and settings.norm == "layer" else 2
    copies += settings.norm == "hypersphere"
    return read + BLOCK * (copies * width + 2) + made


def kept_bytes(
    settings: TrunkSettings,
    batch: int,
    *,
    members: int = 1,
    frozen: bool = False,
    checkpoint_blocks: int = 0,
) -> int:
    """Return what the blocks of a trunk keep until the gradient is taken, at its peak (bytes).

    A block that is computed once more keeps its input alone, and the whole while it is its turn.

    Args:
        settings: of the trunk.
        batch: rows of each network.
        members: networks, K.
        frozen: whether its parameters get no gradient.
        checkpoint_blocks: blocks that are computed once more.
    """
    rows = batch * members * FLOAT
    whole = kept_floats(settings, members=members, frozen=frozen)
    again = min(checkpoint_blocks, settings.blocks)
    turn = whole if again else 0
    return rows * (whole * (settings.blocks - again) + settings.width * again + turn)


@dataclasses.dataclass(frozen=True)
class StepCost:
    """One gradient step of contrastive RL with residual networks.

    The actor is computed and differentiated, phi of its actions only for the actions, and both
    encoders in full: of the products of a layer 3, 2 and 6, where a step that is written plainly
    (encoders twice, all weights differentiated each time) has 15.

    Attributes:
        actor: its settings.
        critic: those of both encoders.
        observation: numbers in an observation.
        goal: in a goal.
        action: in an action.
        batch: pairs of a step.
        repr_dim: numbers in an embedding.
    """

    actor: TrunkSettings
    critic: TrunkSettings
    observation: int
    goal: int
    action: int
    batch: int
    repr_dim: int = 64

    def weights(self) -> int:
        """Count the weights of all three networks."""
        states, pairs = self.observation + self.goal, self.observation + self.action
        heads = (self.actor.width + 1) * 2 * self.action
        heads += 2 * (self.critic.width + 1) * self.repr_dim
        encoders = trunk_weights(self.critic, pairs) + trunk_weights(self.critic, self.goal)
        return trunk_weights(self.actor, states) + encoders + heads

    def flops(self, actor_blocks: int = 0, critic_blocks: int = 0) -> int:
        """Count the arithmetic of a step, with so many blocks computed once more."""
        batch = self.batch
        actor = trunk_flops(self.actor, self.observation + self.goal, batch)
        phi = trunk_flops(self.critic, self.observation + self.action, batch)
        psi = trunk_flops(self.critic, self.goal, batch)
        once = 2 * batch * BLOCK
        again = once * actor_blocks * self.actor.width**2
        again += once * 3 * critic_blocks * self.critic.width**2
        return 3 * actor + 2 * phi + 3 * (phi + psi) + again

    def memory(self, actor_blocks: int = 0, critic_blocks: int = 0) -> dict[str, int]:
        """Return what a step holds at its peak, by name (bytes), the small ends left out."""
        actor = kept_bytes(self.actor, self.batch, checkpoint_blocks=actor_blocks)
        near, pairs = (
            kept_bytes(
                self.critic,
                self.batch,
                members=members,
                frozen=members == 1,
                checkpoint_blocks=critic_blocks,
            )
            for members in (1, 2)
        )
        return {
            "weights, gradients and Adam": _ADAM * FLOAT * self.weights(),
            "the actor's activations": actor + near,
            "the encoders' activations": pairs,
            "energies of all pairs": 4 * FLOAT * self.batch**2,
        }

    def checkpoints(self, budget: float) -> tuple[int, int]:
        """Return how many blocks of the actor and of the encoders are to be computed once more.

        As few as the memory allows, since each costs its forward pass again.

        Args:
            budget: memory of a gradient step (bytes).

        Raises:
            ValueError: listing what is needed, if all of them do not suffice.
        """
        most = max(self.actor.blocks, self.critic.blocks)
        for share in range(most + 1):
            blocks = tuple(
                math.ceil(share * trunk.blocks / most) for trunk in (self.actor, self.critic)
            )
            if sum(self.memory(*blocks).values()) <= budget:
                return blocks  # pyright: ignore[reportReturnType]
        parts = self.memory(self.actor.blocks, self.critic.blocks)
        listed = ", ".join(f"{name} {size / 2**30:.3f} GiB" for name, size in parts.items())
        needed = sum(parts.values()) / 2**30
        raise ValueError(
            f"a gradient step needs {needed:.3f} GiB with every block computed once more "
            f"({listed}), and memory_budget is {budget / 2**30:.3f} GiB: make depth, width or "
            "batch_size smaller"
        )
