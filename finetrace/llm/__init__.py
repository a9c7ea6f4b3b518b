"""Language models behind an API, whatever the provider: the one room that knows litellm."""

from finetrace.llm.faults import RejectedRequest
from finetrace.llm.messages import Answer, Message, Patience, Tool, ToolUse
from finetrace.llm.model import LanguageModel
from finetrace.settings import Price

__all__ = ["Answer", "LanguageModel", "Message", "Patience", "Price", "RejectedRequest", "Tool", "ToolUse"]
