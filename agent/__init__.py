"""The loop: an investigator decides, instruments answer, a hypothesis grows."""

from finetrace.agent.arms import ARMS, Arm, find_arm
from finetrace.agent.budget import Budget
from finetrace.agent.decision import ClaimTest, Submit, ToolCall
from finetrace.agent.investigation import Plan, investigate, make_investigator, start
from finetrace.agent.investigator import Case, Investigator, Thoroughness

__all__ = [
    "ARMS",
    "Arm",
    "Budget",
    "Case",
    "ClaimTest",
    "Investigator",
    "Plan",
    "Submit",
    "Thoroughness",
    "ToolCall",
    "find_arm",
    "investigate",
    "make_investigator",
    "start",
]
