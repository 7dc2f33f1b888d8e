"""The API reference: which modules stand on which page."""

from __future__ import annotations

from morphzoo.algorithms import ALGORITHMS

#: Modules of those algorithms that are ours, a row of the table each.
_ALGORITHMS = tuple(
    dict.fromkeys(
        made.__module__ for made in ALGORITHMS.values() if made.__module__.startswith("morphzoo.")
    )
)

#: Title of a page -> what it is about, and its modules, or single classes of one.
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Graphs and spaces": (
        "A body as a graph, and the space that carries it to a policy.",
        ("morphzoo.morphology", "morphzoo.columns", "morphzoo.spaces"),
    ),
    "Environments": (
        "What all environments share; each has [a page of its own](../environments/index.md).",
        (
            "morphzoo.envs.existing",
            "morphzoo.envs.task",
            "morphzoo.envs.single",
            "morphzoo.envs.batch",
            "morphzoo.envs.bodies",
            "morphzoo.envs.velocity_body",
            "morphzoo.envs.rendering",
        ),
    ),
    "Goals and mazes": (
        "What environments with goals share, and the shortest way through a maze; the guide is "
        "[Environments with goals](../goals.md).",
        (
            "morphzoo.envs.goals.goal_task",
            "morphzoo.envs.goals.goal_env",
            "morphzoo.envs.goals.arena",
            "morphzoo.envs.goals.layouts",
            "morphzoo.envs.goals.shortest_path",
        ),
    ),
    "Stable-Baselines3": ("Batched environments for its algorithms.", ("morphzoo.sb3",)),
    "Policies": (
        "Architectures, and what they are made of. Keywords: [Policies](../policies.md).",
        (
            "morphzoo.policies",
            "morphzoo.policies.graph_policy",
            "morphzoo.policies.message_passing",
            "morphzoo.policies.normalization",
            "morphzoo.policies.value_heads",
            "morphzoo.policies.schema",
            "morphzoo.policies.transferring",
            "morphzoo.policies.contrastive",
            "morphzoo.policies.residual",
            "morphzoo.policies.chromatic",
            "morphzoo.policies.chromatic.compactness",
            "morphzoo.policies.weight_space",
        ),
    ),
    "Algorithms": (
        "Those that are ours; SB3's own have its documentation. Equations and settings: "
        "[searches](../epvf.md), [chromatic networks](../chromatic.md), "
        "[contrastive RL](../contrastive.md).",
        (
            "morphzoo.algorithms",
            *_ALGORITHMS,
            "morphzoo.algorithms.population",
            "morphzoo.algorithms.features",
            "morphzoo.algorithms.targets",
            "morphzoo.algorithms.schedules",
        ),
    ),
    "Zoo": (
        "Checkpoints: saved, loaded, listed, published and fetched.",
        (
            "morphzoo.zoo",
            "morphzoo.zoo.hub.Published",
            "morphzoo.zoo.cache.Cached",
            "morphzoo.zoo.scores",
            "morphzoo.zoo.pinning",
            "morphzoo.publishing",
        ),
    ),
    "Scores": (
        "How policies are scored, and what a results file holds.",
        (
            "morphzoo.transfer",
            "morphzoo.results",
            "morphzoo.estimates",
            "morphzoo.published",
            "morphzoo.checking",
        ),
    ),
    "Training": (
        "One run, or many.",
        ("morphzoo.recipe", "morphzoo.training", "morphzoo.training.fleet"),
    ),
    "Pictures and clips": (
        "Bodies, scores and trainings, drawn and filmed.",
        ("morphzoo.video", "morphzoo.plots", "morphzoo.inspection", "morphzoo.drawing"),
    ),
    "A hub to rehearse with": (
        "Serves a folder over HTTP, with any fault that is asked for: see [the zoo on the "
        "Hub](../hub.md#another-hub).",
        ("morphzoo.testing.hub", "morphzoo.testing.faults"),
    ),
}


def place(title: str) -> str:
    """Return the place of a page on the site."""
    return f"reference/{title.lower().replace(' ', '-')}.md"


def pages() -> dict[str, str]:
    """Return the pages: place on the site -> Markdown that mkdocstrings fills in."""
    made = {}
    for title, (about, modules) in PAGES.items():
        entries = "\n\n".join(f"::: {module}" for module in modules)
        made[place(title)] = f"# {title}\n\n{about}\n\n{entries}\n"
    return made
