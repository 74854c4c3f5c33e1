/* verb_completion.c - `effnet completion`: a script that completes effnet's command lines in a shell. It asks the program
 * itself (--help=words) each time, so it fits whichever version is installed. */
#include "options.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static const char bash[] =
    "# Completion of effnet's command lines for bash; from 'effnet completion bash'.\n"
    "_effnet() {\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} program=${COMP_WORDS[0]}\n"
    "    local verb=${COMP_WORDS[1]} words row\n"
    "    COMPREPLY=()\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$(\"$program\" help --help=words 2>/dev/null | cut -f1)\" -- \"$current\"))\n"
    "        return\n"
    "    fi\n"
    "    words=$(\"$program\" \"$verb\" --help=words 2>/dev/null)\n"
    "    [ \"$verb\" != help ] || words=$(\"$program\" help --help=words 2>/dev/null)\n"
    "    row=$(grep -m1 -- \"^$before\t\" <<<\"$words\")\n"
    "    if [ \"$before\" = --set ]; then\n"
    "        COMPREPLY=($(compgen -S = -W \"$(\"$program\" train --help-keys | sed -n 's/^- `\\([^:]*\\):.*/\\1/p')\" "
    "-- "
    "\"$current\"))\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    elif [[ $before == --* && -n $(cut -f3 <<<\"$row\") ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$(cut -f3 <<<\"$row\")\" -- \"$current\"))\n"
    "    elif [[ $current == -* || $verb == help ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$(cut -f1 <<<\"$words\")\" -- \"$current\"))\n"
    "    else\n"
    "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
    "        compopt -o filenames 2>/dev/null\n"
    "    fi\n"
    "}\n"
    "complete -F _effnet effnet\n";

static const char zsh[] =
    "#compdef effnet\n"
    "# Completion of effnet's command lines for zsh; from 'effnet completion zsh'.\n"
    "_effnet() {\n"
    "    local -a rows options values\n"
    "    local row before=${words[CURRENT-1]}\n"
    "    if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then\n"
    "        rows=(${(f)\"$($words[1] help --help=words 2>/dev/null | tr '\\t' ':')\"})\n"
    "        _describe verb rows\n"
    "        return\n"
    "    fi\n"
    "    if [[ $before == --set ]]; then\n"
    "        values=(${(f)\"$($words[1] train --help-keys 2>/dev/null | sed -n 's/^- `\\([^:]*\\):.*/\\1/p')\"})\n"
    "        compadd -S = -- $values\n"
    "        return\n"
    "    fi\n"
    "    for row in ${(f)\"$($words[1] $words[2] --help=words 2>/dev/null)\"}; do\n"
    "        local -a columns=(\"${(@ps:\\t:)row}\")\n"
    "        options+=(\"${columns[1]}:${columns[4]//:/ }\")\n"
    "        [[ $before == $columns[1] ]] && values=(${=columns[3]})\n"
    "    done\n"
    "    if (( $#values )); then\n"
    "        _describe value values\n"
    "    elif [[ $PREFIX == -* ]]; then\n"
    "        _describe option options\n"
    "    else\n"
    "        _files\n"
    "    fi\n"
    "}\n"
    "if [[ $funcstack[1] == _effnet ]]; then _effnet \"$@\"; else compdef _effnet effnet; fi\n";

static const char fish[] =
    "# Completion of effnet's command lines for fish; from 'effnet completion fish'.\n"
    "# What may stand after the option before the cursor, or, after help, for a verb; nothing: a file, or another "
    "option.\n"
    "function __effnet_values\n"
    "    set -l line (commandline -opc)\n"
    "    if test \"$line[-1]\" = --set\n"
    "        $line[1] train --help-keys 2>/dev/null | sed -n 's/^- `\\([^:]*\\):.*/\\1=/p'\n"
    "    else if test (count $line) -eq 1 -o \"$line[2]\" = help\n"
    "        $line[1] help --help=words 2>/dev/null\n"
    "    else\n"
    "        $line[1] $line[2] --help=words 2>/dev/null | while read -l row\n"
    "            set -l columns (string split \\t -- $row)\n"
    "            test \"$columns[1]\" = \"$line[-1]\" -a -n \"$columns[3]\"; and string split ' ' -- $columns[3]\n"
    "        end\n"
    "    end\n"
    "end\n"
    "function __effnet_options\n"
    "    set -l line (commandline -opc)\n"
    "    $line[1] $line[2] --help=words 2>/dev/null | while read -l row\n"
    "        set -l columns (string split \\t -- $row)\n"
    "        printf '%s\\t%s\\n' $columns[1] $columns[4]\n"
    "    end\n"
    "end\n"
    "complete -c effnet -n 'count (__effnet_values) >/dev/null' -f -a '(__effnet_values)'\n"
    "complete -c effnet -n 'string match -q -- \"-*\" (commandline -ct)' -f -a '(__effnet_options)'\n";

int verb_completion(int argc, char **argv) {
    static const struct { const char *name, *script; } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const VerbHelp help = {
        .verb = "completion",
        .text =
            "\nTab then completes verbs, options, the values that an option can have, keys after --set, and files.\n",
        .examples = "  effnet completion bash > ~/.local/share/bash-completion/completions/effnet\n"
                    "  effnet completion zsh > ~/.zfunc/_effnet      # with fpath+=~/.zfunc before compinit\n"
                    "  effnet completion fish > ~/.config/fish/completions/effnet.fish\n",
    };
    const Option options[] = {{0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("completion", "no shell given: bash, zsh or fish");
    if (line.count > 1) return usage_error("completion", "unexpected argument '%.60s'", line.arguments[1]);
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].name, line.arguments[0]) == 0) {
            printf("%s", shells[i].script);
            return EXIT_OK;
        }
    return usage_error("completion", "unknown shell '%.60s'; known: bash, zsh, fish", line.arguments[0]);
}
