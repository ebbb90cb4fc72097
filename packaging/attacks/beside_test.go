// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"castgate/packaging/hosttest"
)

// transfer judges a file transfer by its recording: the facts are what is kept.
func (w *world) transfer(done bool, command string) verdict {
	w.Helper()
	if !done {
		return closed
	}
	for _, r := range w.finished() {
		if r.ok && strings.Contains(r.header.Command, command) {
			return seen
		}
	}
	return works
}

func sftp(w *world) verdict {
	w.user.Write(w, "secret", "SECRET\n")
	to := w.TempDir() + "/got"
	hosttest.Do(w, w.server.Transfer("sftp", w.key, account+"@127.0.0.1:secret", to), nil)
	got, _ := os.ReadFile(to)
	return w.transfer(string(got) == "SECRET\n", "sftp")
}

var besideTheRecorder = []attack{
	{
		id: "516", what: "no terminal: `ssh host command`", by: "every stream is recorded", naive: works,
		try: func(w *world) verdict {
			r := w.ssh(nil, "echo SEC''RET")
			return w.judge(strings.Contains(r.Stdout, "SECRET"), "SECRET")
		},
	},
	{
		id: "516", what: "no terminal: `ssh -T`, `ssh host bash -i`", by: "every stream is recorded", naive: works,
		try: func(w *world) verdict {
			r := hosttest.Do(w, w.server.Ssh(w.key, account, []string{"-T"}, "bash -i"), strings.NewReader("echo SEC''RET >&2\n"))
			return w.judge(strings.Contains(r.Stdout+r.Stderr, "SECRET"), "SECRET")
		},
	},
	{
		id: "402", what: "further sessions on one connection (ControlMaster)", by: "each is recorded", naive: works,
		try: func(w *world) verdict {
			control := []string{"-o", "ControlPath=" + w.TempDir() + "/c"}
			first := hosttest.StartTerminal(w, w.server.Ssh(w.key, account, append(control, "-M", "-tt")), 80, 24)
			first.Type("echo rea''dy\n")
			first.Expect("ready")
			r := w.ssh(control, "echo SEC''RET")
			return w.judge(strings.Contains(r.Stdout, "SECRET"), "SECRET")
		},
	},
	{id: "403", what: "sftp", by: "recorded as facts", naive: works, try: sftp},
	{
		id: "403", what: "sftp where sshd would do it itself (`internal-sftp`)", by: "ForceCommand; recorded as facts", naive: closed,
		options: options{sshd: []string{"Subsystem sftp internal-sftp"}}, try: sftp,
	},
	{
		id: "403", what: "`scp -O`", by: "recorded as facts", naive: works,
		try: func(w *world) verdict {
			w.user.Write(w, "secret", "SECRET\n")
			to := w.TempDir() + "/got"
			hosttest.Do(w, w.server.Transfer("scp", w.key, "-O", account+"@127.0.0.1:secret", to), nil)
			got, _ := os.ReadFile(to)
			return w.transfer(string(got) == "SECRET\n", "scp")
		},
	},
	{
		id: "537", what: "a command that looks like a transfer", by: "only the whole parsed command counts", naive: works,
		try: func(w *world) verdict {
			r := w.ssh(nil, "scp -t /dev/null </dev/null; echo SEC''RET")
			return w.judge(strings.Contains(r.Stdout, "SECRET"), "SECRET")
		},
	},
	{
		id: "537", what: "burning the limit, then going on unseen", by: "past the limit the session ends", naive: works,
		options: options{wrap: "limits: {free: 1MiB, command_output: 64KiB}\n"},
		try: func(w *world) verdict {
			r := w.ssh(nil, "head -c 300000 /dev/zero | tr '\\0' x; echo SEC''RET")
			return w.judge(strings.Contains(r.Stdout, "SECRET"), "SECRET")
		},
	},
	{
		id: "521", what: "running the recorder by hand with a forged SSH_CONNECTION", by: "the guard: nested, parent named", naive: works, guard: true,
		try: func(w *world) verdict {
			program := naivePath
			if w.door.castgate {
				program = "/usr/bin/castgate-wrap"
			}
			x := w.terminal()
			x.Type("unset CASTGATE_SESSION; SSH_CONNECTION='6.6.6.6 6 6.6.6.6 22' SSH_ORIGINAL_COMMAND='echo for''ged' " + program + "\n")
			x.Expect("forged")
			// What is typed while the inner one still ends is the inner one's.
			hosttest.WaitFor(w, "the inner recorder's end", func() bool { return len(w.recorders()) == 1 })
			x.Type("exit\n")
			x.Wait()
			all := w.finished()
			for _, r := range all {
				s := r.header.Session
				if s == nil || !strings.HasPrefix(s.Client, "6.6.6.6") {
					continue
				}
				for _, other := range all {
					if s.Nested && s.Parent != "" && other.ok && s.Parent == other.header.Session.ID {
						return seen
					}
				}
				return works
			}
			return closed
		},
	},
	{
		id: "526", what: "a flood of output, for the recorder's memory", by: "buffers have a size", naive: seen,
		try: func(w *world) verdict {
			x := w.terminal()
			x.Type("head -c 20000000 /dev/zero | tr '\\0' x; echo SEC''RET\n")
			x.Expect("SECRET")
			const enough = 64 << 10 // kB
			if peak := w.peak(); peak > enough {
				w.Errorf("the recorder took %d kB", peak)
			}
			return w.judge(true, "SECRET")
		},
	},
	{
		id: "527", what: "a limit on files (`ulimit -f 0`) in `~/.bashrc`", by: byHome, naive: closed,
		try: func(w *world) verdict {
			w.user.Write(w, ".bashrc", "ulimit -f 0\n")
			x := hosttest.StartTerminal(w, w.server.Ssh(w.key, account, []string{"-tt"}), 80, 24)
			x.Type("echo SEC''RET; exit\n")
			return w.judge(strings.Contains(x.Wait().Stdout, "SECRET"), "SECRET")
		},
	},
	{
		id: "524", what: "stories for the guard's socket", by: "0660 root:castgate; only the recorder is answered", naive: absent,
		try: func(w *world) verdict {
			if !w.door.castgate {
				return absent
			}
			r := hosttest.Do(w, w.user.Command("/usr/bin/python3", "-c", `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("`+hosttest.GuardSocket+`")
print("CONNECTED")
`), nil)
			return w.judge(strings.Contains(r.Stdout, "CONNECTED"), "CONNECTED")
		},
	},
	{
		id: "602", what: "TERM with escapes and line breaks", by: "JSON in headers, quotes in logs", naive: closed,
		try: func(w *world) verdict {
			cmd := w.server.Ssh(w.key, account, []string{"-tt"}, "true")
			cmd.Env = append(os.Environ(), "TERM=x\x1b]0;owned\x07\nNov 1 00:00:00 sshd[1]: Accepted FORGED")
			x := hosttest.StartTerminal(w, cmd, 80, 24)
			x.Wait()
			for _, line := range append(w.log.Lines(), w.server.Log.Lines()...) {
				if strings.ContainsAny(line, "\x1b\x07") || strings.HasPrefix(line, "Nov 1") {
					return works
				}
			}
			for _, r := range w.recordings() {
				if !r.ok {
					return works
				}
			}
			return closed
		},
	},
}

// peak is the most memory that the recorder has taken so far, in kB.
func (w *world) peak() int {
	w.Helper()
	out := hosttest.Run(w, "awk", "/^VmHWM/ {print $2}", fmt.Sprintf("/proc/%d/status", w.recorder()))
	kb, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		w.Fatal(err)
	}
	return kb
}
