"""A Pygments lexer for jaxprs, as JAX and `vmapguide.listing` print them.

Pygments finds it by its entry point under the name `jaxpr`; importing vmapguide does not need
Pygments.
"""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import (
    Keyword,
    Name,
    Number,
    Punctuation,
    Text,
    Whitespace,
)


class JaxprLexer(RegexLexer):
    """Lex the text of a jaxpr: primitives, types, variables, parameters, numbers."""

    name = "Jaxpr"
    aliases = ("jaxpr",)
    filenames = ("*.jaxpr",)
    url = "https://docs.jax.dev/en/latest/jaxpr.html"

    _type = r"[A-Za-z]\w*\*?(?:<\w+>)?(?:\[[^\]]*\])?(?:\{[^}]*\})?"
    tokens: ClassVar = {
        "root": [
            (r"\s+", Whitespace),
            (words(("lambda", "let", "in"), prefix=r"\b", suffix=r"\b"), Keyword),
            (words(("True", "False", "None"), prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            # a:f32[2,5], k:key<fry>[], r:Ref{f32[]}, 0.0:f32[]
            (rf"(:)({_type})", bygroups(Punctuation, Keyword.Type)),
            # The word after "=" and a space, and a word that opens parameters.
            (r"(=)(\s+)([A-Za-z_]\w*)", bygroups(Punctuation, Whitespace, Name.Function)),
            (r"[A-Za-z_]\w*(?=\[(?:\s*\n|\w+=))", Name.Function),
            (r"[A-Za-z_]\w*(?==)", Name.Attribute),
            (r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", Number),
            (r"[A-Za-z_]\w*[′″‴]?\d*", Name.Variable),
            (r"[{}\[\]();.,=:<>-]", Punctuation),
            (r".", Text),
        ]
    }
