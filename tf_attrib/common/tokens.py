"""Files of words, one a line, and the names by which vocabularies call padding."""

# In lower case. "pad" alone is a word, too, and is none of them.
PADDING = frozenset({"", "[pad]", "<pad>", "<|pad|>", "<|padding|>", "<blank>", "[blank]", "<s_pad>"})


def is_padding(word: str) -> bool:
    """Whether a token stands for nothing: the empty string, or a name of padding in any case."""
    return word.lower() in PADDING


def lines_of(text: str) -> list[str]:
    """The lines of a file in which the number of a line counts, such as one of words, as TensorFlow reads them: a line feed
    alone ends one. Other letters that Python takes for the end of a line, such as U+2028, are words of some vocabularies."""
    lines = text.replace("\r", "").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
