"""One module per command of ``python -m ml``; each has ``run(arguments) -> exit status``."""
