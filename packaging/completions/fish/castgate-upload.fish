# SPDX-License-Identifier: AGPL-3.0-or-later
complete -c castgate-upload -f
complete -c castgate-upload -n 'test (count (commandline -opc)) -eq 1' -a status -d 'say what waits, what was delivered, what failed and why'
complete -c castgate-upload -n 'test (count (commandline -opc)) -eq 1' -a drain -d 'deliver what waits'
complete -c castgate-upload -n '__fish_seen_subcommand_from drain' -o once -d 'end instead of waiting for what failed'
complete -c castgate-upload -n '__fish_seen_subcommand_from status' -o json -d 'print JSON'
complete -c castgate-upload -o config -r -F -d 'configuration file'
complete -c castgate-upload -o version -d 'print the version'
complete -c castgate-upload -s h -d 'show the help'
