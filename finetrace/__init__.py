"""finetrace works out what a language model was finetuned for."""

__version__ = "0.1.0"

__all__ = ["__version__"]
