"""``scratchnet completion``: a script that lets a shell complete commands, flags and their choices."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from scratchnet.cli.arguments import ARGUMENTS, arguments_of
from scratchnet.cli.flag_values import choices
from scratchnet.cli.flags import Positional, flags_of
from scratchnet.cli.parsing import parse, say

EVERYWHERE = ("--help", "--threads", "--overwrite")


@dataclass(frozen=True)
class CompletionArguments:
    """Print a script that lets the shell complete commands, options and their values.

    bash: add `eval "$(scratchnet completion bash)"` to ~/.bashrc; zsh: the same with zsh, in ~/.zshrc; fish:
    `scratchnet completion fish > ~/.config/fish/completions/scratchnet.fish`.
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], Positional("SHELL")]
    """bash, zsh or fish."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(CompletionArguments, words, "completion", "scratchnet completion bash")
    say(fish_script() if arguments.shell == "fish" else bash_script(arguments.shell == "zsh"))
    return 0


def known_words() -> dict[str, list[str]]:
    """Return the words that can follow each command ("train", "data make") or flag ("train --loss")."""
    found: dict[str, list[str]] = {"": list(dict.fromkeys(name.split()[0] for name in ARGUMENTS))}
    for command in ARGUMENTS:
        flags = flags_of(arguments_of(command))
        found[command] = [name for flag in flags for name in flag.names] + list(EVERYWHERE)
        for flag in flags:
            if words := choices(flag.hint):
                if flag.positional:
                    found[command] += words
                else:
                    found[f"{command} {flag.name}"] = words
        group, _, action = command.partition(" ")
        if action:
            found.setdefault(group, []).append(action)
    return found


def bash_script(zsh: bool = False) -> str:
    """Return the script for bash, or for zsh, which runs it with its compatibility module."""
    cases = "\n".join(f"    {shlex.quote(key)}) words={shlex.quote(' '.join(words))} ;;" for key, words in _items())
    begin = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" if zsh else ""
    return f"""{begin}_scratchnet_words() {{
  local words=""
  case "$1" in
{cases}
  esac
  printf '%s' "$words"
}}
_scratchnet() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" found
  if [ "$COMP_CWORD" -gt 1 ]; then command="${{COMP_WORDS[1]}}"; fi
  case "$command" in data|bench)
    if [ "$COMP_CWORD" -gt 2 ]; then command="$command ${{COMP_WORDS[2]}}"; fi ;;
  esac
  found="$(_scratchnet_words "$command $before")"
  if [ -z "$found" ]; then found="$(_scratchnet_words "$command")"; fi
  COMPREPLY=( $(compgen -W "$found" -- "$current") )
}}
complete -o default -F _scratchnet scratchnet"""


def fish_script() -> str:
    """Return the script for fish, with a description of each flag."""
    known = known_words()
    lines = ["complete -c scratchnet -n __fish_use_subcommand -f -a " + shlex.quote(" ".join(known[""]))]
    for group in dict.fromkeys(command.split()[0] for command in ARGUMENTS if " " in command):
        condition = f"__fish_seen_subcommand_from {group}; and not __fish_seen_subcommand_from {' '.join(known[group])}"
        lines.append(f"complete -c scratchnet -n '{condition}' -f -a '{' '.join(known[group])}'")
    for command in ARGUMENTS:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.split())
        for flag in flags_of(arguments_of(command)):
            words = choices(flag.hint)
            values = f" -a {shlex.quote(' '.join(words))}" if words else ""
            if flag.positional:
                lines += [f"complete -c scratchnet -n '{seen}' -f{values}"] if words else []
                continue
            for name in flag.names:
                value = "" if len(flag.names) > 1 else f" -r{values}"
                about = shlex.quote(flag.about.split(". ")[0][:100])
                lines.append(f"complete -c scratchnet -n '{seen}' -l {name[2:]}{value} -d {about}")
    return "\n".join(lines)


def _items() -> list[tuple[str, list[str]]]:
    return sorted(known_words().items())
