"""The process that starts workers, outlives none of them, and takes them along when the agent dies.

Standard library only: it runs under the functions' interpreter, which need not have this distribution's
dependencies.
"""
