# Completion of `locker` for fish: commands, options as --help prints them, held paths, files.

function __locker_commands
    locker help 2>/dev/null | sed -n 's/^  \([a-z]*\)  *\([a-z].*\)/\1\t\2/p' | grep -v '^locker	'
end

# Candidates for the word after a command, by the words before it.
function __locker_words
    set -l words (commandline --tokenize --current-process --cut-at-cursor)
    set -l command $words[2]
    if string match -q -- '-*' (commandline --current-token)
        locker $command --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u
    else if test $command = help
        __locker_commands
    else if test $command = store -a (count $words) -eq 2
        printf '%s\n' verify dump backup
    else if test $command = token -a (count $words) -eq 2
        echo new
    else if test $command = store; or string match -qr -- '^--(.*file|client-.*)$' $words[-1]
        __fish_complete_path (commandline --current-token)
    else if test $words[-1] = --state
        printf '%s\n' held cooling waiting
    else if contains $command run acquire release ls show watch force
        timeout 1 locker ls --json 2>/dev/null | head -n 1000 | sed -n 's/.*"path":"\([^"]*\)".*/\1/p'
    end
end

complete -c locker -f
complete -c locker -n __fish_use_subcommand -a '(__locker_commands)'
complete -c locker -n 'not __fish_use_subcommand' -a '(__locker_words)'
