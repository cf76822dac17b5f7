# Completion of `locker` for fish: commands, options as --help prints them, and paths that are held.

function __locker_commands
    locker help 2>/dev/null | sed -n 's/^  \([a-z]*\)  *\([a-z].*\)/\1\t\2/p' | grep -v '^locker	'
end

function __locker_options
    set -l words (commandline --tokenize --current-process --cut-at-cursor)
    locker $words[2] --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u
end

function __locker_paths
    timeout 1 locker ls --json 2>/dev/null | head -n 1000 | sed -n 's/.*"path":"\([^"]*\)".*/\1/p'
end

complete -c locker -f
complete -c locker -n __fish_use_subcommand -a '(__locker_commands)'
complete -c locker -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline --current-token)' -a '(__locker_options)'
complete -c locker -n 'not __fish_use_subcommand; and not string match -q -- "-*" (commandline --current-token)' -a '(__locker_paths)'
