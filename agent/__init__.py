"""The loop: an investigator decides, tools answer, a hypothesis grows; import each part from its own module."""

__all__: list[str] = []
