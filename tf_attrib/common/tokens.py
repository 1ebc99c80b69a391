"""The names by which vocabularies call padding."""

# In lower case. "pad" alone is a word, too, and is none of them.
PADDING = frozenset({"", "[pad]", "<pad>", "<|pad|>", "<|padding|>", "<blank>", "[blank]", "<s_pad>"})


def is_padding(word: str) -> bool:
    """Whether a token stands for nothing: the empty string, or a name of padding in any case."""
    return word.lower() in PADDING
