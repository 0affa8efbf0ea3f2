"""A layer's module."""


def hello(name):
    return f"hello {name}"
