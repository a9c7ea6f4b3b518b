"""Making model organisms and measuring that they are what their recipe says.

Import each part from its own module.
"""

__all__: list[str] = []
