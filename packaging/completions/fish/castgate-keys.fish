# SPDX-License-Identifier: AGPL-3.0-or-later
complete -c castgate-keys -f
complete -c castgate-keys -n 'test (count (commandline -opc)) -eq 1' -a refresh -d 'bring the cache up to date'
complete -c castgate-keys -n 'test (count (commandline -opc)) -eq 1' -a explain -d 'say why a login would be allowed or refused'
complete -c castgate-keys -n 'test (count (commandline -opc)) -eq 1' -a pin -d 'list or say whose the accounts are'
complete -c castgate-keys -n '__fish_seen_subcommand_from explain pin' -a '(__fish_complete_users)'
complete -c castgate-keys -n '__fish_seen_subcommand_from refresh' -o files -r -F -d 'also write a file of keys for each account into this directory'
complete -c castgate-keys -n '__fish_seen_subcommand_from refresh' -o accounts -d 'also write user records for members without an account'
complete -c castgate-keys -n '__fish_seen_subcommand_from pin' -o all -d 'pin every account that opens by name'
complete -c castgate-keys -n '__fish_seen_subcommand_from pin' -o remove -x -a '(__fish_complete_users)' -d 'forget whose this account is'
complete -c castgate-keys -n '__fish_seen_subcommand_from pin' -o adopt -d 'take over what an older castgate-keys knew'
complete -c castgate-keys -o config -r -F -d 'configuration file'
complete -c castgate-keys -o version -d 'print the version'
complete -c castgate-keys -s h -d 'show the help'
