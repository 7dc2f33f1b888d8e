"""Whom to cite for a policy, and what to tag it with."""

from __future__ import annotations

from typing import NamedTuple

MORPHZOO = """\
@software{morphzoo,
  title  = {morphzoo: train a policy on one robot body, run it on any body},
  author = {{morphzoo contributors}},
  year   = {2026},
}"""
NERVENET = """\
@inproceedings{wang2018nervenet,
  title     = {NerveNet: Learning Structured Policy with Graph Neural Networks},
  author    = {Wang, Tingwu and Liao, Renjie and Ba, Jimmy and Fidler, Sanja},
  booktitle = {International Conference on Learning Representations},
  year      = {2018},
}"""
SNOWFLAKE = """\
@inproceedings{blake2021snowflake,
  title     = {Snowflake: Scaling {GNNs} to High-Dimensional Continuous Control via Parameter
               Freezing},
  author    = {Blake, Charlie and Kurin, Vitaly and Igl, Maximilian and Whiteson, Shimon},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2021},
}"""

EPVF = """\
@article{bohlinger2025epvf,
  title   = {Massively Scaling Explicit Policy-conditioned Value Functions},
  author  = {Bohlinger, Nico and Peters, Jan},
  journal = {arXiv preprint arXiv:2502.11949},
  year    = {2025},
}"""
CONTRASTIVE = """\
@inproceedings{wang2025layers,
  title     = {1000 Layer Networks for Self-Supervised {RL}: Scaling Depth Can Enable New
               Goal-Reaching Capabilities},
  author    = {Wang, Kevin and Javali, Ishaan and Bortkiewicz, Micha{\\l} and Trzci{\\'n}ski, Tomasz
               and Eysenbach, Benjamin},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2025},
}"""
CRL = """\
@inproceedings{eysenbach2022contrastive,
  title     = {Contrastive Learning as Goal-Conditioned Reinforcement Learning},
  author    = {Eysenbach, Benjamin and Zhang, Tianjun and Levine, Sergey and Salakhutdinov, Ruslan},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2022},
}"""
PSSVF = """\
@inproceedings{faccio2021pbvf,
  title     = {Parameter-Based Value Functions},
  author    = {Faccio, Francesco and Kirsch, Louis and Schmidhuber, J{\\"u}rgen},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
}"""

CHROMATIC = """\
@article{song2019chromatic,
  title   = {Reinforcement Learning with Chromatic Networks for Compact Architecture Search},
  author  = {Song, Xingyou and Choromanski, Krzysztof and Parker-Holder, Jack and Tang, Yunhao and
             Gao, Wenbo and Pacchiano, Aldo and Sarlos, Tamas and Jain, Deepali and Yang, Yuxiang},
  journal = {arXiv preprint arXiv:1907.06511},
  year    = {2019},
}"""


class About(NamedTuple):
    """What a card says of a policy's kind.

    Attributes:
        tags: What people search the Hub for.
        papers: BibTeX entries.
    """

    tags: tuple[str, ...]
    papers: tuple[str, ...]


# A row for every name in morphzoo.policies.POLICIES.
ABOUT: dict[str, About] = {
    "snowflake": About(("graph-neural-network",), (SNOWFLAKE, NERVENET)),
    "nervenet": About(("graph-neural-network",), (NERVENET,)),
    "mlp": About((), (NERVENET,)),  # MLPAA, its baseline
    "deterministic": About(("policy-search",), (PSSVF, EPVF)),
    "contrastive": About(("goal-conditioned", "contrastive-rl"), (CONTRASTIVE, CRL)),
    "contrastive-snowflake": About(
        ("goal-conditioned", "contrastive-rl", "graph-neural-network"), (CONTRASTIVE, SNOWFLAKE)
    ),
    "chromatic": About(("policy-search", "weight-sharing"), (CHROMATIC,)),
    "chromatic-mlp": About(("weight-sharing",), (CHROMATIC,)),
    "chromatic-snowflake": About(
        ("graph-neural-network", "weight-sharing"), (CHROMATIC, SNOWFLAKE, NERVENET)
    ),
}
