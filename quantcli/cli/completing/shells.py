"""The scripts for bash, zsh and fish, and how each shell's words are read and answered."""

from __future__ import annotations

import re
from collections.abc import Mapping

BASH = r"""
# bash: eval "$(quantcli completion bash)"
_quantcli() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(
        _QUANTCLI_COMPLETE=bash _QUANTCLI_LINE="${COMP_LINE:0:COMP_POINT}" \
            _QUANTCLI_WORD="${COMP_WORDS[COMP_CWORD]}" "${1/#\~/$HOME}" 2>/dev/null
    )
    compopt -o nosort 2>/dev/null
    case ${COMPREPLY[0]} in
        :files) COMPREPLY=(); compopt -o default 2>/dev/null ;;
        */ | *=) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -F _quantcli quantcli
"""

ZSH = r"""
#compdef quantcli
# zsh: eval "$(quantcli completion zsh)", or this file as _quantcli in a folder of $fpath
_quantcli() {
    local line
    local -a lines values shown open opened
    lines=("${(@f)$(
        _QUANTCLI_COMPLETE=zsh ${~words[1]} "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null
    )}")
    if [[ $lines[1] == :files ]]; then
        _files
        return
    fi
    for line in $lines; do
        if [[ ${line%%$'\t'*} == *[/=] ]]; then
            open+=("${line%%$'\t'*}")
            opened+=("${line/$'\t'/  -- }")
        else
            values+=("${line%%$'\t'*}")
            shown+=("${line/$'\t'/  -- }")
        fi
    done
    (( $#values )) && compadd -l -V quantcli -d shown -a values
    (( $#open )) && compadd -l -V folders -S '' -d opened -a open
}
if [[ $funcstack[1] == _quantcli ]]; then
    _quantcli "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
    compdef _quantcli quantcli
fi
"""

FISH = r"""
# fish: quantcli completion fish > ~/.config/fish/completions/quantcli.fish
function __quantcli_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l word (string unescape -- $typed)
    or set word $typed
    set -l program $words[1]
    set -e words[1]
    set -l found (env _QUANTCLI_COMPLETE=fish $program $words "$word" 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path $typed
    else
        printf '%s\n' $found
    end
end
complete -c quantcli -f -k -a '(__quantcli_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def bash_words(environment: Mapping[str, str]) -> tuple[list[str], str, bool]:
    """Return the words of a command line up to the cursor, and how bash replaces the last one.

    That is: the part of it that bash keeps, because it cuts words at "=" and "@" too; and whether a
    quote is open.
    """
    line, word = environment.get("_QUANTCLI_LINE", ""), environment.get("_QUANTCLI_WORD", "")
    words = split(line)
    if line[-1:].isspace() and not line.endswith("\\ "):
        words.append("")
    last = words[-1] if words else ""
    bare = "" if set(word) <= set("=:@<>") else "".join(split(word))
    return words[1:], last.removesuffix(bare), word[:1] in ("'", '"')


def split(text: str) -> list[str]:
    """Split a line as a shell does; a quote may be open at its end."""
    import shlex

    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        while (word := lexer.get_token()) is not None:
            words.append(word)
    except ValueError:
        words.append(lexer.token)
    return words


def escape(value: str) -> str:
    """Return a value with a backslash before each character that means something to bash."""
    return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", value)
