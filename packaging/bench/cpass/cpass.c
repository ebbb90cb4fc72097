/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A nested pty that records nothing: the floor of every recorder. It polls,
 * reads and writes with blocking descriptors, as script(1) does. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int put(int fd, const char *p, ssize_t n) {
	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR) continue;
		if (w < 0) return -1;
		p += w;
		n -= w;
	}
	return 0;
}

int main(int argc, char **argv) {
	struct termios modes, raw;
	struct winsize size;
	char buf[65536];
	int master, status;
	if (argc < 2 || tcgetattr(0, &modes) < 0 || ioctl(0, TIOCGWINSZ, &size) < 0) return 2;
	pid_t pid = forkpty(&master, NULL, &modes, &size);
	if (pid < 0) return 2;
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	raw = modes;
	cfmakeraw(&raw);
	tcsetattr(0, TCSADRAIN, &raw);
	struct pollfd fds[2] = {{0, POLLIN, 0}, {master, POLLIN, 0}};
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR) break;
		if (fds[1].revents) {
			ssize_t n = read(master, buf, sizeof buf);
			if (n <= 0 || put(1, buf, n) < 0) break;
		}
		if (fds[0].revents) {
			ssize_t n = read(0, buf, sizeof buf);
			if (n <= 0 || put(master, buf, n) < 0) break;
		}
	}
	tcsetattr(0, TCSADRAIN, &modes);
	close(master);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
