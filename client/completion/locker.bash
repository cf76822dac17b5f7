# Completion of `locker` for bash: commands, options as --help prints them, held paths, files.

_locker() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} i
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == -- ]]; then # the command to run
      _command_offset $((i + 1)) 2>/dev/null
      return
    fi
  done
  local names=
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 || ($COMP_CWORD -eq 2 && $command == help) ]]; then
    names=$(locker help 2>/dev/null | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | grep -vx locker)
  elif [[ $word == -* ]]; then
    names=$(locker "$command" --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u)
  elif [[ $COMP_CWORD -eq 2 && $command == store ]]; then
    names='verify dump backup'
  elif [[ $COMP_CWORD -eq 2 && $command == token ]]; then
    names=new
  elif [[ $command == store || ${COMP_WORDS[COMP_CWORD - 1]} == --@(*file|client-*) ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --state ]]; then
    names='held cooling waiting'
  elif [[ $command == @(run|acquire|release|ls|show|watch|force) ]]; then
    # A path can be /$(reboot): compgen -W would execute that, and so would the shell if it were
    # completed without quoting.
    local path
    while read -r path; do
      printf -v path %q "$path"
      [[ $path != "$word"* ]] || COMPREPLY+=("$path")
    done < <(timeout 1 locker ls --json 2>/dev/null | head -n 1000 |
      sed -n 's/.*"path":"\([^"]*\)".*/\1/p')
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$names" -- "$word")
}
complete -F _locker locker
