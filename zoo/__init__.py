"""How the packaged taggers are made: ``python -m zoo NAME -o DIR``, each from a configuration in ``taggers/``."""
