"""What a name looks like: its skeleton by Unicode TS 39. Names of the same skeleton can be taken for each other."""


def skeleton_of(name: str) -> str:
    """For comparison only, never to be shown.

    :param name: a username as it is kept, so in lower case.
    """
    # The table of Unicode takes 35 ms to read, and only what creates or removes a user needs it.
    from homoglyph._skeleton import skeleton

    # Some characters look like a capital (0 like O), and here a capital is the same letter as its small one.
    return skeleton(skeleton(name).casefold())
