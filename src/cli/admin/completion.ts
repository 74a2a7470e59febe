// SPDX-License-Identifier: Apache-2.0
import { adminCommand } from "./command.ts";

/**
 * Each script asks `rmq __complete WORDS…` (the last one is the word under the cursor) and offers the lines that
 * come back, a value and behind a tab what it is. So a script never goes stale, and names of topics, groups and
 * brokers come from the cluster.
 */
const BASH = `# bash completion of rmq. For this shell: source <(rmq completion bash)
_rmq_complete() {
  local value rest
  COMPREPLY=()
  while IFS=$'\\t' read -r value rest; do
    COMPREPLY+=("$(printf %q "$value")")
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _rmq_complete rmq
`;

const ZSH = `#compdef rmq
# zsh completion of rmq. For this shell: source <(rmq completion zsh)
_rmq() {
  local -a candidates
  local line
  while IFS= read -r line; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then
    _describe rmq candidates
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == _rmq ]]; then _rmq "$@"; else compdef _rmq rmq; fi
`;

const FISH = `# fish completion of rmq. For this shell: rmq completion fish | source
function __rmq_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c rmq -f -a '(__rmq_complete)'
complete -c rmq -F -n 'test (count (__rmq_complete)) -eq 0'
`;

const SHELLS = [
  { name: "bash", script: BASH, keep: "rmq completion bash > /etc/bash_completion.d/rmq" },
  { name: "zsh", script: ZSH, keep: 'rmq completion zsh > "${fpath[1]}/_rmq"' },
  { name: "fish", script: FISH, keep: "rmq completion fish > ~/.config/fish/completions/rmq.fish" },
];

export const completionCommands = SHELLS.map(({ name, script, keep }) =>
  adminCommand({
    name,
    summary: `Print the completion script for ${name}`,
    isLocal: true,
    examples: [[keep.replace(/^rmq /, ""), "for all shells from now on"]],
    run: ({ out }) => out.write(script),
  })
);
