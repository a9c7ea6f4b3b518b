"""Text of models and providers, made harmless for a terminal; see `finetrace.escaping`."""

from finetrace.escaping import visible

__all__ = ["visible"]
