"""The steps. A file's stem is its revision; each follows the one before it; the DDL is literal.

Literal, because a step must do in ten years what it does today, whatever the declared tables say
by then.
"""
