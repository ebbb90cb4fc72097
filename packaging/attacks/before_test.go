// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"castgate/packaging/hosttest"
)

// escape is what a start-up file does instead of going on to the recorder.
const escape = `exec /bin/sh -c 'touch /home/` + account + `/escaped; echo ESCAPED'` + "\n"

// startUp tries a start-up file with and without a terminal.
func startUp(file, text string) func(w *world) verdict {
	return func(w *world) verdict {
		w.user.Write(w, file, text)
		got := closed
		for _, options := range [][]string{nil, {"-tt"}} {
			_ = os.Remove(w.user.Home + "/escaped")
			hosttest.Do(w, w.server.Ssh(w.key, account, options, "true"), nil)
			if v := w.judge(w.exists("escaped"), "ESCAPED"); v == works || got == closed {
				got = v
			}
		}
		return got
	}
}

const byHome = "SetEnv HOME=; login shell"

var beforeTheRecorder = []attack{
	{id: "101", what: "`exec` in bash's `~/.bashrc`", by: byHome, naive: works, try: startUp(".bashrc", escape)},
	{
		id: "101", what: "`exec` in zsh's `~/.zshenv`", by: byHome, naive: works,
		options: options{shell: "/usr/bin/zsh"}, try: startUp(".zshenv", escape),
	},
	{
		id: "101", what: "`exec` in fish's `config.fish`", by: byHome, naive: works,
		options: options{shell: "/usr/bin/fish"}, try: startUp(".config/fish/config.fish", escape),
	},
	{
		id: "101", what: "`exec` in fish's `vendor_conf.d`", by: byHome, naive: works,
		options: options{shell: "/usr/bin/fish"}, try: startUp(".local/share/fish/vendor_conf.d/x.fish", escape),
	},
	{
		id: "101", what: "`exec` in tcsh's `~/.tcshrc`", by: byHome, naive: works,
		options: options{shell: "/usr/bin/tcsh"}, try: startUp(".tcshrc", escape),
	},
	{
		id: "102", what: "`BASH_ENV` in `~/.pam_environment`", by: "no user_readenv; login shell", naive: works,
		try: func(w *world) verdict {
			w.user.Write(w, "env.sh", "unset BASH_ENV; "+escape)
			// bash, run by sshd, reads BASH_ENV only where SHLVL says that it isn't.
			return startUp(".pam_environment", "SHLVL=1\nBASH_ENV="+w.user.Home+"/env.sh\n")(w)
		},
	},
	{
		id: "102", what: "`LD_PRELOAD` in `~/.pam_environment`", by: "no user_readenv; login shell", naive: works,
		try: func(w *world) verdict {
			preload(w)
			return startUp(".pam_environment", "LD_PRELOAD="+w.user.Home+"/preload.so\n")(w)
		},
	},
	{
		id: "102", what: "`GCONV_PATH` in `~/.pam_environment`, for a program inside of a transfer", by: "no user_readenv; a transfer gets no such variable", naive: works,
		try: module,
	},
	{
		id: "201", what: "`~/.ssh/rc`", by: "ForceCommand, PermitUserRC no", naive: closed,
		try: startUp(".ssh/rc", "touch /home/"+account+"/escaped\n"),
	},
	{
		id: "202", what: "`~/.ssh/environment` and `environment=`", by: "PermitUserEnvironment no", naive: closed,
		try: func(w *world) verdict {
			w.user.Write(w, "env.sh", "unset BASH_ENV; "+escape)
			env := "BASH_ENV=" + w.user.Home + "/env.sh"
			w.user.Write(w, ".ssh/authorized_keys", `environment="`+env+`" `+w.key.Line+"\n")
			return startUp(".ssh/environment", env+"\n")(w)
		},
	},
	{
		id: "203", what: "the key's own `command=`", by: "ForceCommand comes first", naive: closed,
		try: func(w *world) verdict {
			w.user.Write(w, ".ssh/authorized_keys", `command="touch escaped" `+w.key.Line+"\n")
			w.ssh(nil, "true")
			return w.judge(w.exists("escaped"), "escaped")
		},
	},
	{
		id: "301", what: "a tunnel (`ssh -W`, `-L`, `-D`)", by: "DisableForwarding yes", naive: works,
		try: func(w *world) verdict {
			r := w.ssh([]string{"-W", greeter(w)})
			return w.judge(strings.Contains(r.Stdout, "FORWARDED"), "FORWARDED")
		},
	},
	{
		id: "301", what: "a tunnel back (`ssh -R`)", by: "DisableForwarding yes", naive: works,
		try: func(w *world) verdict {
			r := w.ssh([]string{"-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:" + greeter(w)}, "true")
			return w.judge(r.Status == 0, "FORWARDED")
		},
	},
	{
		id: "301", what: "the client's agent (`ssh -A`)", by: "DisableForwarding yes", naive: works,
		try: func(w *world) verdict {
			agent := strings.Fields(strings.ReplaceAll(hosttest.Run(w, "ssh-agent", "-s"), ";", " "))
			sock := strings.TrimPrefix(agent[0], "SSH_AUTH_SOCK=")
			for _, word := range agent {
				if pid, ok := strings.CutPrefix(word, "SSH_AGENT_PID="); ok {
					w.Cleanup(func() { hosttest.Run(w, "kill", pid) })
				}
			}
			cmd := w.server.Ssh(w.key, account, []string{"-A"}, "test -S \"$SSH_AUTH_SOCK\" && echo FORWARDED")
			r := hosttest.Do(w, instead(cmd, "IdentityAgent=none", "IdentityAgent="+sock), nil)
			return w.judge(strings.Contains(r.Stdout, "FORWARDED"), "FORWARDED")
		},
	},
	{
		id: "301", what: "a tunnel device (`ssh -w`)", by: "PermitTunnel no", naive: closed,
		try: func(w *world) verdict {
			r := w.ssh([]string{"-o", "ExitOnForwardFailure=yes", "-w", "any:any"}, "ls -d /sys/class/net/tun*")
			return w.judge(strings.Contains(r.Stdout, "/tun"), "FORWARDED")
		},
	},
	{
		id: "302", what: "a connection without a session (`ssh -N`)", by: "UnusedConnectionTimeout", naive: works,
		try: func(w *world) verdict { return w.unlessSet("unusedconnectiontimeout", "none") },
	},
	{
		id: "536", what: "a network that dies without a word", by: "ClientAliveInterval", naive: works,
		try: func(w *world) verdict { return w.unlessSet("clientaliveinterval", "0") },
	},
	{
		id: "601", what: "`BASH_ENV` sent by the client", by: "AcceptEnv LANG LC_*", naive: closed,
		try: func(w *world) verdict {
			w.user.Write(w, "env.sh", "unset BASH_ENV; "+escape)
			cmd := w.server.Ssh(w.key, account, []string{"-o", "SendEnv=BASH_ENV SHLVL"}, "true")
			cmd.Env = append(os.Environ(), "SHLVL=1", "BASH_ENV="+w.user.Home+"/env.sh")
			hosttest.Do(w, cmd, nil)
			return w.judge(w.exists("escaped"), "ESCAPED")
		},
	},
}

// module makes the library a character set of iconv's, which is loaded into any
// program that is asked to convert from it (iconv(1), GCONV_PATH).
func module(w *world) verdict {
	preload(w)
	w.user.Write(w, "modules/gconv-modules", "module EVIL// INTERNAL "+w.user.Home+"/preload 1\nmodule INTERNAL EVIL// "+w.user.Home+"/preload 1\n")
	w.user.Write(w, ".pam_environment", "GCONV_PATH="+w.user.Home+"/modules\n")
	r := w.ssh(nil, "rsync --server --iconv=EVIL . there")
	return w.judge(strings.Contains(r.Stdout, "ESCAPED"), "ESCAPED")
}

// preload builds a library of the account's that is a shell as soon as it is
// loaded, without asking for the program.
func preload(w *world) {
	w.Helper()
	w.user.Write(w, "preload.c", `#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void start(void) {
	unsetenv("LD_PRELOAD");
	execl("/bin/sh", "sh", "-c", "touch /home/`+account+`/escaped; echo ESCAPED", (char *)0);
}
`)
	hosttest.Run(w, "gcc", "-shared", "-fPIC", "-o", w.user.Home+"/preload.so", w.user.Home+"/preload.c")
}

// instead changes one of the client's arguments: of two values ssh takes the first.
func instead(cmd *exec.Cmd, old, now string) *exec.Cmd {
	for i, arg := range cmd.Args {
		if arg == old {
			cmd.Args[i] = now
		}
	}
	return cmd
}

// unlessSet holds sshd's effective configuration against the value that lets
// the attack work. What sshd then does is sshd's; waiting for it takes minutes.
func (w *world) unlessSet(option, off string) verdict {
	w.Helper()
	out := hosttest.Run(w, "/usr/sbin/sshd", "-T", "-f", w.server.Conf, "-C", "user="+account)
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.EqualFold(key, option) && value != off { // in lower case up to OpenSSH 10.3
			return closed
		}
	}
	return works
}

// greeter is a TCP server that says one word to everybody.
func greeter(w *world) string {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "FORWARDED\n")
			conn.Close()
		}
	}()
	return fmt.Sprint(l.Addr())
}
