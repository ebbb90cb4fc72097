// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"castgate/packaging/hosttest"
)

// input is what the inner command prints; slow recorders get its beginning.
const (
	input     = "/dev/shm/bench-input"
	inputPart = "/dev/shm/bench-input-part"
)

func measureThroughput(t *testing.T, r *report) {
	speed := r.table("Throughput", fmt.Sprintf("%d MB through the session (a quarter through those marked *), megabytes a second as a ratio to the plain pty of the same round; more is better.", *mb))
	cpu := r.table("CPU", "Seconds for 100 MB, of the recorder and of the inner command, which the plain pty shows alone.")
	disk := r.table("Size", "Bytes on disk for each byte shown; and how many of a session's last bytes, at most, never reached the person.")
	missing := samples{}
	for _, w := range workloads {
		for _, x := range []*table{speed, cpu, disk} {
			x.columns = append(x.columns, w.name)
		}
		walls, cpus, files := runWorkload(t, r.recorders, w, missing)
		r.walls[w.name] = walls
		for _, rec := range r.recorders {
			name := rec.name
			if rec.slow {
				name += " *"
			}
			speed.add(name, num(median(walls.ratios(plain, rec.name)), 2))
			cpu.add(name, num(median(cpus[rec.name])*100, 2))
			if rec.file != "" {
				disk.add(rec.name, num(median(files[rec.name]), 2))
			}
		}
		r.throughputTargets(w, walls)
	}
	disk.columns = append(disk.columns, "never shown")
	for _, name := range disk.order {
		disk.add(name, num(slices.Max(missing[name]), 0))
	}
}

// runWorkload returns seconds of wall time and of CPU, both per megabyte, and
// the bytes in the file for each shown.
func runWorkload(t *testing.T, list []recorder, w workload, missing samples) (walls, cpus, files samples) {
	walls, cpus, files = samples{}, samples{}, samples{}
	data := w.make(*mb << 20)
	write(t, input, string(data))
	write(t, inputPart, string(data[:len(data)/4]))
	for range *rounds {
		for _, rec := range list {
			path, size := input, len(data)
			if rec.slow {
				path, size = inputPart, len(data)/4
			}
			got := runThroughput(t, rec, path, size)
			millions := float64(size) / (1 << 20)
			walls.add(rec.name, got.wall/millions)
			cpus.add(rec.name, got.cpu/millions)
			files.add(rec.name, float64(got.file)/float64(size))
			missing.add(rec.name, float64(got.missing))
		}
	}
	_, _ = os.Remove(input), os.Remove(inputPart)
	return walls, cpus, files
}

func (r *report) throughputTargets(w workload, walls samples) {
	floor := faster(walls, "c-pass", "go-pass")
	limit := 0.9
	if w.text {
		limit = 0.95
	}
	r.atLeast("throughput of the faster floor ("+floor+"), "+w.name, limit, median(walls.ratios(floor, ours)), "")
	if best := r.fastest(walls, func(rec recorder) bool { return rec.timing }); best != "" {
		r.atLeast("throughput of the fastest recorder that keeps timing ("+best+"), "+w.name, 1, median(walls.ratios(best, ours)), "")
	}
}

func faster(walls samples, a, b string) string {
	if median(walls[b]) < median(walls[a]) {
		return b
	}
	return a
}

// fastest names the quickest of the recorders that fit, "" when none does.
func (r *report) fastest(walls samples, fits func(recorder) bool) (best string) {
	for _, rec := range r.recorders {
		if fits(rec) && (best == "" || median(walls[rec.name]) < median(walls[best])) {
			best = rec.name
		}
	}
	return best
}

func measureKeystrokes(t *testing.T, r *report) {
	const note = "%d keys a round, 1 ms apart, microseconds to the echo of `cat` in raw mode%s."
	x := r.table("Keystroke echo", fmt.Sprintf(note, *keystrokes, ""), "p50", "p90", "p99")
	quiet := runKeystrokes(t, x, *rounds, r.recorders, false)
	y := r.table("Keystroke echo beside a neighbour", fmt.Sprintf(note, *keystrokes/2, ", while another session of the same recorder prints log lines as fast as it can"), "p50", "p90", "p99")
	runKeystrokes(t, y, *rounds, r.recorders, true)
	r.atMost("keystroke p50 to that of c-pass", 1.15, median(quiet[50].ratios(ours, "c-pass")), "")
	r.atMost("keystroke p99 to that of c-pass", 1.25, median(quiet[99].ratios(ours, "c-pass")), "")
	for _, rec := range r.recorders {
		if rec.timing && (rec.name == "script" || rec.name == "ttyrec" || rec.name == "tlog-rec") {
			r.atMost("keystroke p50 to that of "+rec.name, 1, median(quiet[50].ratios(ours, rec.name)), "")
			r.atMost("keystroke p99 to that of "+rec.name, 1, median(quiet[99].ratios(ours, rec.name)), "")
		}
	}
}

// runKeystrokes fills the table and returns the rounds of each percentile.
func runKeystrokes(t *testing.T, x *table, rounds int, list []recorder, neighbour bool) map[int]samples {
	got := map[int]samples{50: {}, 90: {}, 99: {}}
	for range rounds {
		for _, rec := range list {
			n, stop := *keystrokes, func() {}
			if neighbour {
				n, stop = n/2, startNeighbour(t, rec)
			}
			trips := runKeys(t, rec, n, time.Millisecond)
			stop()
			for p := range got {
				got[p].add(rec.name, percentile(trips, p))
			}
		}
	}
	for _, rec := range list {
		for _, p := range []int{50, 90, 99} {
			x.add(rec.name, num(median(got[p][rec.name]), 0))
		}
	}
	return got
}

// startNeighbour starts a session that prints without end.
func startNeighbour(t *testing.T, rec recorder) (stop func()) {
	write(t, input, string(logLines(1<<20)))
	s := begin(t, rec, "echo BE''GIN; while cat "+input+"; do :; done")
	if _, err := s.awaitText("BEGIN"); err != nil {
		t.Fatalf("%s: %v", rec.name, err)
	}
	done := make(chan struct{})
	go func() { s.readAll(); close(done) }()
	return func() {
		s.kill()
		<-done
		s.clean()
		forget()
	}
}

func measureSlowDisk(t *testing.T, r *report) {
	wrap := r.recorder(ours)
	slow := wrap
	slow.name, slow.syncs = ours+", slow disk", 100*time.Millisecond
	x := r.table("Keystroke echo on a slow disk", "The same, while each fsync and fdatasync of the recorder takes 100 ms: a seccomp filter holds the call that long before the kernel goes on with it. Nothing is shown before the recording's beginning is on disk, so the start takes longer.", "p50", "p90", "p99", "start-up, ms")
	pair := []recorder{wrap, slow}
	got := runKeystrokes(t, x, *rounds, pair, false)
	for _, rec := range pair {
		x.add(rec.name, num(runStart(t, rec), 1))
	}
	r.atMost("keystroke p99 with a disk that takes 100 ms to sync, to that without", 1.1, median(got[99].ratios(slow.name, ours)), "")
}

func (r *report) recorder(name string) recorder {
	return r.recorders[slices.IndexFunc(r.recorders, func(rec recorder) bool { return rec.name == name })]
}

func measureStart(t *testing.T, r *report) {
	x := r.table("Start-up", "Milliseconds to the first byte of the inner command.", "median", "above plain")
	got := samples{}
	for range *starts {
		for _, rec := range r.recorders {
			got.add(rec.name, runStart(t, rec))
		}
	}
	above := func(name string) float64 { return median(got[name]) - median(got[plain]) }
	for _, rec := range r.recorders {
		x.add(rec.name, num(median(got[rec.name]), 1), num(above(rec.name), 1))
	}
	r.atMost("start-up above the plain shell", 2.5, above(ours), " ms")
}

// measureMemory adds up what the recorder's processes have.
func measureMemory(t *testing.T, r *report) {
	x := r.table("Memory", "Of an idle session's recorder without the inner command, MB: resident (RSS) and proportional (PSS) set size.",
		"RSS, 1 session", "PSS, 1 session", fmt.Sprintf("PSS each of %d", *idle), fmt.Sprintf("PSS, all %d", *idle))
	for _, rec := range r.recorders {
		if rec.name == plain {
			continue
		}
		alone, many := idleSessions(t, rec, 1), idleSessions(t, rec, *idle)
		each := many.pss / float64(*idle)
		x.add(rec.name, num(alone.rss, 2), num(alone.pss, 2), num(each, 2), num(many.pss, 0))
		if rec.name == ours {
			r.atMost(fmt.Sprintf("PSS each of %d idle sessions", *idle), 1.25, each, " MB")
			r.atMost("PSS of one session alone", 3, alone.pss, " MB")
		}
	}
}

// memory is in MB.
type memory struct{ rss, pss float64 }

func idleSessions(t *testing.T, rec recorder, n int) memory {
	var all []*session
	for range n {
		s := begin(t, rec, "echo BE''GIN; exec sleep 600")
		if _, err := s.awaitText("BEGIN"); err != nil {
			t.Fatalf("%s: %v", rec.name, err)
		}
		all = append(all, s)
	}
	time.Sleep(1500 * time.Millisecond) // whatever is synced or freed a second later
	var sum memory
	for _, s := range all {
		m := memoryOf(s.cmd.Process.Pid)
		sum.rss, sum.pss = sum.rss+m.rss, sum.pss+m.pss
	}
	for _, s := range all {
		for _, pid := range append(descendants(s.cmd.Process.Pid), s.cmd.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // some don't end at a hang-up
		}
	}
	for _, s := range all {
		s.kill()
		s.clean()
	}
	forget()
	return sum
}

// memoryOf is that of pid and its children without the inner command.
func memoryOf(pid int) (m memory) {
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if name := strings.TrimSpace(string(comm)); name != "sleep" && name != "sh" {
		m.rss, m.pss = rollup(pid, "Rss:"), rollup(pid, "Pss:")
	}
	for _, kid := range hosttest.Children(pid) {
		k := memoryOf(kid)
		m.rss, m.pss = m.rss+k.rss, m.pss+k.pss
	}
	return m
}

func rollup(pid int, name string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			kb, _ := strconv.Atoi(f[1])
			return float64(kb) / 1024
		}
	}
	return 0
}

func measureKilled(t *testing.T, r *report) {
	x := r.table("After SIGKILL of the recorder", "Bytes that had reached the person and are not in the file: least to most of the rounds.", "slow output", "in a burst")
	lost := samples{}
	for _, rec := range r.recorders {
		if rec.file == "" {
			continue
		}
		for _, c := range []struct {
			command string
			after   int
		}{
			{"stty -opost; while :; do echo 0123456789012345678901234567890123456789; sleep 0.001; done", 4000},
			{"stty -opost; yes 0123456789012345678901234567890123456789", 10 << 20},
		} {
			var here []float64
			for range *rounds {
				here = append(here, float64(runKilled(t, rec, c.command, c.after)))
			}
			x.add(rec.name, fmt.Sprintf("%.0f to %.0f", slices.Min(here), slices.Max(here)))
			lost.add(rec.name, slices.Max(here))
		}
	}
	r.atMost("shown and not recorded after SIGKILL", 0, slices.Max(lost[ours]), " bytes")
	for _, w := range workloads {
		best := r.fastest(r.walls[w.name], func(rec recorder) bool {
			return rec.name != ours && len(lost[rec.name]) > 0 && slices.Max(lost[rec.name]) == 0
		})
		if best != "" && len(r.walls[w.name]) > 0 {
			r.atLeast("throughput of the fastest peer that lost nothing ("+best+"), "+w.name, 1, median(r.walls[w.name].ratios(best, ours)), "")
		}
	}
}
