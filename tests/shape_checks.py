"""The checker behind jaxtyping's import hook: beartype, with an int where a float is asked for, as Python has it."""

from beartype import BeartypeConf, beartype

typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
