// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"strings"

	"castgate/packaging/hosttest"
)

// spoil runs a script of the account's that gets the recorder's pid as $1, and
// says whether what was shown before is still in the recording.
func spoil(script string) func(w *world) verdict {
	return func(w *world) verdict {
		x := w.terminal()
		x.Type("echo SEC''RET\n")
		x.Expect("SECRET")
		out, _ := w.user.Command("/bin/sh", "-c", script, "sh", fmt.Sprint(w.recorder())).CombinedOutput()
		w.Logf("the attack said %q", out)
		if !w.recorded("SECRET") {
			return works
		}
		return closed
	}
}

const byGroup = "the spool is its group's only"

func spoolOf(w *world) string {
	if w.door.castgate {
		return "/var/spool/castgate/live"
	}
	return naiveLog
}

var atTheSpool = []attack{
	{
		id: "507", what: "cut the recording through `/proc/PID/fd`", by: "set-id: not dumpable", naive: works,
		try: spoil(`for fd in /proc/$1/fd/*; do case $(readlink $fd) in *.cast) : >$fd ;; esac; done`),
	},
	{
		id: "510", what: "remove the recording", by: byGroup, naive: works,
		try: spoil(`for fd in /proc/$1/fd/*; do case $(readlink $fd) in *.cast) rm -f $(readlink $fd) ;; esac; done
			rm -rf /var/spool/castgate/live/*`),
	},
	{
		id: "520", what: "mount something over the spool in namespaces of one's own", by: "the recorder is outside of them", naive: closed,
		try: func(w *world) verdict {
			x := w.terminal()
			x.Type("unshare -Urm sh -c 'mount -t tmpfs none " + spoolOf(w) + "; echo moun''ted $?; echo SEC''RET'\n")
			x.Expect("mounted")
			x.Expect("SECRET")
			if w.recorded("SECRET") {
				return closed
			}
			return works
		},
	},
	{
		id: "530", what: "files, links and pipes of one's own in the spool", by: byGroup, naive: works,
		try: func(w *world) verdict {
			got := closed
			for _, script := range []string{"touch x.cast", "ln -s /etc/passwd l.cast", "mkfifo p.cast", "mkdir d.cast"} {
				if _, ok := w.try("/bin/sh", "-c", "cd "+spoolOf(w)+" && "+script); ok {
					got = works
				}
			}
			return got
		},
	},
	{
		id: "522", what: "a recording that can't be made", by: "on_failure: deny", naive: closed,
		try: func(w *world) verdict {
			hosttest.Run(w, "mv", spoolOf(w), spoolOf(w)+".away")
			w.Cleanup(func() { hosttest.Run(w, "mv", spoolOf(w)+".away", spoolOf(w)) })
			r := w.ssh(nil, "echo SEC''RET")
			return w.judge(strings.Contains(r.Stdout, "SECRET"), "SECRET")
		},
	},
	{
		id: "528", what: "a spool that gets full during the session", by: "on_failure: deny: the session ends", naive: closed,
		options: options{wrap: "limits: {free: 64KiB}\n"},
		try: func(w *world) verdict {
			onSmallDisk(w)
			x := w.terminal()
			hosttest.Run(w, "sh", "-c", "head -c 2000000 /dev/zero >"+smallDisk(w)+"/fill 2>/dev/null || true")
			x.Type("head -c 200000 /dev/zero | tr '\\0' x; echo SEC''RET\n")
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
}

// smallDisk is the directory that becomes a file system of its own.
func smallDisk(w *world) string {
	if w.door.castgate {
		return "/var/spool/castgate"
	}
	return naiveLog
}

// onSmallDisk puts the spool on a file system of 1 MiB.
func onSmallDisk(w *world) {
	w.Helper()
	dir := smallDisk(w)
	if w.door.castgate {
		hosttest.Run(w, "sh", "-c", `mount -t tmpfs -o size=1m,mode=0750 none `+dir+` && chgrp castgate `+dir+` && cd `+dir+` &&
			install -d -g castgate -m 0770 live incoming bad`)
	} else {
		hosttest.Run(w, "mount", "-t", "tmpfs", "-o", "size=1m,mode=1733", "none", dir)
	}
	w.Cleanup(func() { hosttest.Run(w, "umount", "-l", dir) })
}
