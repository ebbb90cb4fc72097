# SPDX-License-Identifier: AGPL-3.0-or-later
complete -c castgate-once -f
complete -c castgate-once -o authorized-keys -r -F -d 'who may log in, - for standard input'
complete -c castgate-once -o port -x -d 'port to listen on'
complete -c castgate-once -o listen -x -d 'address to listen on'
complete -c castgate-once -o log -r -F -d 'where the recording goes'
complete -c castgate-once -o log-format -x -a 'cast raw' -d 'format of the recording'
complete -c castgate-once -o log-passwords -d 'record also what is typed without echo'
complete -c castgate-once -o announce -r -d 'command that is told the host key'
complete -c castgate-once -o timeout -x -d 'how long to wait for a session'
complete -c castgate-once -o version -d 'print the version'
complete -c castgate-once -s h -d 'show the help'
