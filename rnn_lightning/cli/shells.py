"""The completion of the command, in the language of each shell."""

from __future__ import annotations

from collections.abc import Iterable

from rnn_lightning.cli.completion import (
    CHECKPOINTS,
    CONFIGS,
    FILES,
    FOLDERS,
    RUNS,
    Offer,
    of_names,
    of_sections,
    of_verb,
)
from rnn_lightning.cli.verbs import VERBS

_MADE = "Made by `python -m rnn_lightning.cli.completion --write`: not to be edited."


def bash() -> str:
    """For bash 3.2 or newer."""
    sections = of_sections()
    variables = "\n".join(f"    local of_{name}='{_flags(offers)}'" for name, offers in sections.items())
    options = "\n".join(
        f'        {verb}) words="{" ".join([_flags(of_verb(verb)), *(f"$of_{name}" for name in _takes(verb))])}" ;;'
        for verb in VERBS
    )
    return _BASH.format(
        made=_MADE,
        verbs=" ".join(VERBS),
        several=_pattern(_several(), '"{}"'),
        values="\n".join(
            f"        {pattern}) words='{' '.join(words)}' look={look or 'nothing'} ;;"
            for pattern, words, look in _cases(sections, '"{}"', '*" {}"')
        ),
        switches=_pattern((f"*{flag}" for flag in _switches()), "{}"),
        names=_names("            {verb}) words='{words}' look={look} ;;"),
        variables=variables,
        options=options,
    )


def zsh() -> str:
    """For zsh, found by compinit or read by source."""
    sections = of_sections()
    described = "\n".join(f"    local -a of_{name}=({_described(offers)})" for name, offers in sections.items())
    options = "\n".join(
        f"        {verb}) options=({_described(of_verb(verb))} {' '.join(f'$of_{name}' for name in _takes(verb))}) ;;"
        for verb in VERBS
    )
    return _ZSH.format(
        made=_MADE,
        verbs=" ".join(f"'{name}:{_quoted(verb.what, ':')}'" for name, verb in VERBS.items()),
        several=_pattern(_several(), "'{}'"),
        values="\n".join(
            f"        {pattern}) known=({' '.join(words)}) look={look or 'nothing'} ;;"
            for pattern, words, look in _cases(sections, "'{}'", "*' {}'")
        ),
        switches=_pattern((f"*' {flag}'" for flag in _switches()), "{}"),
        names=_names("            {verb}) known=({words}) look={look} ;;"),
        variables=described,
        options=options,
    )


def fish() -> str:
    """For fish."""
    lines = [_FISH.format(made=_MADE)]
    lines += [
        f"complete -c rnn-lightning -n __fish_use_subcommand -a {name} -d '{_quoted(verb.what)}'"
        for name, verb in VERBS.items()
    ]
    for verb in VERBS:
        own = of_verb(verb)
        # Fish takes the second value of an option for a word that belongs to none.
        alone = [of_names(verb), *(offer._replace(flag=verb, what="") for offer in own if offer.kind == "several")]
        lines += [_fish_line([verb], offer) for offer in (*alone, *own) if offer.flag != verb or _offers(offer)]
    for name, offers in of_sections().items():
        lines += [_fish_line([verb for verb in VERBS if name in _takes(verb)], offer) for offer in offers]
    return "\n".join(lines) + "\n"


def _fish_line(verbs: list[str], offer: Offer) -> str:
    flag = offer.flag.lstrip("-")
    name = f" -{'l' if offer.flag.startswith('--') else 's'} {flag}" if offer.flag.startswith("-") else ""
    value = {
        FILES: " -r -F",
        FOLDERS: " -x -a '(__fish_complete_directories)'",
        RUNS: " -x -a '(__rnn_lightning_runs)'",
        CONFIGS: f" -x -a '{' '.join(offer.words)} (__fish_complete_suffix .yaml)'",
        CHECKPOINTS: f" -r -F -a '{' '.join(offer.words)}'",
        "": f" -x -a '{' '.join(offer.words)}'" if offer.words else " -x",
    }[offer.looked_up]
    if not name:
        value = value.replace(" -x", "").replace(" -r", "")
    meaning = f" -d '{_quoted(offer.what)}'" if offer.what else ""
    seen = f"-n '__fish_seen_subcommand_from {' '.join(verbs)}'"
    return f"complete -c rnn-lightning {seen}{name}{'' if offer.kind == 'switch' else value}{meaning}"


def _takes(verb: str) -> list[str]:
    """The sections whose options a verb takes, and configs with them."""
    return ["config", *VERBS[verb].sections] if VERBS[verb].sections else []


def _cases(sections: dict[str, list[Offer]], own: str, everywhere: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Patterns of "verb flag" with the values that they offer: first those of single verbs, then those of sections."""
    found: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    rows = [(own.format(f"{verb} {offer.flag}"), offer) for verb in VERBS for offer in of_verb(verb)]
    rows += [(everywhere.format(offer.flag), offer) for offers in sections.values() for offer in offers]
    for pattern, offer in rows:
        if _offers(offer):
            place = "section" if pattern.startswith("*") else "own"
            found.setdefault((place, offer.words, offer.looked_up), []).append(pattern)
    return [("|".join(patterns), words, look) for (_, words, look), patterns in found.items()]


def _several() -> list[str]:
    return [f"{verb} {offer.flag}" for verb in VERBS for offer in of_verb(verb) if offer.kind == "several"]


def _switches() -> list[str]:
    found = [offer.flag for verb in VERBS for offer in of_verb(verb) if offer.kind == "switch"]
    return list(dict.fromkeys([*found, "-h", "--verbose"]))


def _names(line: str) -> str:
    offers = [of_names(verb) for verb in VERBS]
    return "\n".join(
        line.format(verb=offer.flag, words=" ".join(offer.words), look=offer.looked_up or "nothing")
        for offer in offers
        if _offers(offer)
    )


def _offers(offer: Offer) -> bool:
    return bool(offer.words or offer.looked_up)


def _flags(offers: Iterable[Offer]) -> str:
    return " ".join(offer.flag for offer in offers)


def _described(offers: Iterable[Offer]) -> str:
    return " ".join(f"'{offer.flag}:{_quoted(offer.what, ':')}'" for offer in offers)


def _pattern(words: Iterable[str], each: str) -> str:
    return "|".join(each.format(word) for word in words)


def _quoted(text: str, further: str = "") -> str:
    """A text as it stands in single quotes, with no quote in it that could end them."""
    text = text.replace("\\", "").replace("'", "’")
    for character in further:
        text = text.replace(character, f"\\{character}")
    return text


_BASH = """\
# Completion of rnn-lightning in bash. {made}

_rnn_lightning() {{
    local verb=${{COMP_WORDS[1]}} cur=${{COMP_WORDS[COMP_CWORD]}} at=$((COMP_CWORD - 1)) words='' look='' flag item
{variables}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W '{verbs} --help --version' -- "$cur"))
        return
    fi
    # Bash takes the sign of equality for a word of its own.
    if [[ $cur == = ]]; then
        cur=
    elif [[ ${{COMP_WORDS[at]}} == = ]]; then
        at=$((at - 1))
    fi
    flag=${{COMP_WORDS[at]}}
    while ((at > 2)) && [[ ${{COMP_WORDS[at]}} != -* ]]; do at=$((at - 1)); done
    case "$verb ${{COMP_WORDS[at]}}" in
        {several}) flag=${{COMP_WORDS[at]}} ;;
    esac
    case "$verb $flag" in
{values}
        {switches}) ;;
        *' '-*) look=nothing ;;
    esac
    if [[ $cur == -* ]]; then
        look=
    fi
    if [[ -z $look && $cur != -* ]]; then
        case $verb in
{names}
        esac
    fi
    if [[ -z $look ]]; then
        case $verb in
{options}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    local IFS=$'\\n'
    case $look in
        runs)
            for item in "${{RNN_LIGHTNING_RUNS:-runs}}"/*/*/config.yaml; do
                item=${{item%/config.yaml}}
                if [[ $item == "$cur"* && -d $item ]]; then COMPREPLY+=("$item"); fi
            done
            ;;
        configs) COMPREPLY+=($(compgen -f -X '!*.yaml' -- "$cur") $(compgen -d -S / -- "$cur")) ;;
        files|checkpoints) COMPREPLY+=($(compgen -f -- "$cur")) ;;
        folders) COMPREPLY+=($(compgen -d -- "$cur")) ;;
        *) return ;;
    esac
    # Outside of a completion, as in a test, there is none to set an option of.
    compopt -o filenames 2>/dev/null
}}

complete -F _rnn_lightning rnn-lightning
"""

_ZSH = """\
#compdef rnn-lightning
# Completion of rnn-lightning in zsh. {made}

_rnn-lightning() {{
    local verb=${{words[2]}} flag=${{words[CURRENT-1]}} cur=${{words[CURRENT]}} look='' at=$((CURRENT - 1))
    local -a known options runs
    local -a verbs=({verbs})
{variables}
    if ((CURRENT == 2)); then
        _describe 'verb' verbs
        return
    fi
    if [[ $cur == --*=* ]]; then
        flag=${{cur%%=*}}
        cur=${{cur#*=}}
        compset -P '*='
    fi
    while ((at > 3)) && [[ ${{words[at]}} != -* ]]; do at=$((at - 1)); done
    case "$verb ${{words[at]}}" in
        {several}) flag=${{words[at]}} ;;
    esac
    case "$verb $flag" in
{values}
        {switches}) ;;
        *' '-*) look=nothing ;;
    esac
    if [[ $cur == -* ]]; then
        look=
    fi
    if [[ -z $look && $cur != -* ]]; then
        case $verb in
{names}
        esac
    fi
    if [[ -z $look ]]; then
        case $verb in
{options}
        esac
        _describe -o 'option' options
        return
    fi
    compadd -- $known
    case $look in
        runs)
            runs=(${{RNN_LIGHTNING_RUNS:-runs}}/*/*/config.yaml(N:h))
            compadd -f -- $runs
            ;;
        configs) _files -g '*.yaml' ;;
        files|checkpoints) _files ;;
        folders) _files -/ ;;
    esac
}}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _rnn-lightning "$@"
else
    compdef _rnn-lightning rnn-lightning
fi
"""

_FISH = """\
# Completion of rnn-lightning in fish. {made}

function __rnn_lightning_runs
    set -l root runs
    set -q RNN_LIGHTNING_RUNS; and set root $RNN_LIGHTNING_RUNS
    for config in $root/*/*/config.yaml
        string replace /config.yaml '' $config
    end
end

complete -c rnn-lightning -f
complete -c rnn-lightning -n __fish_use_subcommand -l help -d 'say what there is to say'
complete -c rnn-lightning -n __fish_use_subcommand -l version -d 'say the version'"""
