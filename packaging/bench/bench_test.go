// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

// Package bench measures castgate beside what people use today, on the same
// work in one interleaved run, and writes BENCHMARKS.md. Only ratios within a
// run mean anything: the machine may be shared.
package bench

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/packaging/hosttest"
)

var (
	rounds     = flag.Int("rounds", 5, "interleaved rounds; medians are printed")
	mb         = flag.Int("mb", 200, "megabytes through each session; a quarter for slow recorders")
	keystrokes = flag.Int("keystrokes", 2000, "keystrokes in each round")
	starts     = flag.Int("starts", 50, "starts of each program in a round of short ones")
	idle       = flag.Int("idle", 500, "idle sessions whose memory is added up")
	logins     = flag.Int("logins", 100, "logins of each kind")
	recordings = flag.Int("recordings", 600, "small recordings that are uploaded in a round; an archive takes 2000 requests of a host, three a recording, before its rate counts")
	waiting    = flag.Int("waiting", 50000, "recordings that wait for an uploader whose memory is measured")
	only       = flag.String("only", "", "parts to run, with commas: "+strings.Join(partNames(), ", "))
	among      = flag.String("recorders", "", "recorders to measure, by part of their names, with commas")
)

// parts are the report's sections in their order.
var parts = []struct {
	name string
	run  func(*testing.T, *report)
}{
	{"throughput", measureThroughput},
	{"keystrokes", measureKeystrokes},
	{"disk", measureSlowDisk},
	{"start", measureStart},
	{"memory", measureMemory},
	{"killed", measureKilled},
	{"keys", measureKeys},
	{"logins", measureLogins},
	{"upload", measureUpload},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func TestMain(m *testing.M) { hosttest.Main(m) }

// TestBench measures everything and prints the report.
func TestBench(t *testing.T) {
	chosen := split(*only)
	for _, name := range chosen {
		if !slices.Contains(partNames(), name) {
			t.Fatalf("-only: no part %q; there are %v", name, partNames())
		}
	}
	r := &report{recorders: setup(t), walls: map[string]samples{}}
	t.Cleanup(func() {
		if t.Failed() { // what was measured until then
			fmt.Printf("%s\n", r)
		}
	})
	for _, p := range parts {
		if len(chosen) > 0 && !slices.Contains(chosen, p.name) {
			continue
		}
		start := time.Now()
		p.run(t, r)
		t.Logf("%s: %v", p.name, time.Since(start).Round(time.Second))
	}
	// A throwaway host keeps no files: make bench takes the report from here.
	fmt.Printf("%s\n(end of the report)\n", r)
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return c == ',' })
}

// setup installs castgate with a spool in memory, and the peers' settings.
func setup(t *testing.T) []recorder {
	t.Helper()
	hosttest.Install(t)
	hosttest.StartSyslog(t)
	hosttest.AddUser(t, "benchsudo", "/bin/sh")
	hosttest.Config(t, "wrap", "notice: \"\"\nguard: \"no\"\nlimits: {session: 1TiB, free: 0, sessions_per_user: 10000}\n")
	write(t, "/etc/sudoers.d/bench", "Defaults log_output, iolog_dir="+sudoLogs+", !compress_io, !use_pty\nroot ALL=(ALL) NOPASSWD: ALL\n")
	hosttest.Run(t, "chmod", "440", "/etc/sudoers.d/bench")
	hosttest.Run(t, "touch", "/run/utmp", "/var/log/wtmp") // tlog-rec notes its sessions there
	hosttest.Run(t, "mount", "-t", "tmpfs", "-o", "mode=0750,size=90%", "spool", spoolDir)
	for _, sub := range []string{"live", "incoming", "bad", "kept"} {
		hosttest.Run(t, "install", "-d", "-m", "0770", "-g", "castgate", spoolDir+"/"+sub)
	}
	hosttest.Run(t, "chgrp", "castgate", spoolDir)
	chosen := split(*among)
	return slices.DeleteFunc(recorders(t), func(r recorder) bool {
		named := slices.ContainsFunc(chosen, func(s string) bool { return strings.Contains(r.name, s) })
		return len(chosen) > 0 && !r.floor && r.name != ours && !named
	})
}
