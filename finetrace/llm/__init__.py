"""Language models behind an API, whatever the provider: the one room that knows litellm."""

from finetrace.llm.faults import RejectedRequest
from finetrace.llm.messages import Answer, Message, Patience
from finetrace.llm.model import LanguageModel

__all__ = ["Answer", "LanguageModel", "Message", "Patience", "RejectedRequest"]
