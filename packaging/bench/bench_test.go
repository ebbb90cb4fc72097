// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

// Package bench measures castgate-wrap beside what people use today, on the
// same work in one interleaved run, and writes BENCHMARKS.md. Only ratios
// within a run mean anything: the machine may be shared.
package bench

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"castgate/packaging/hosttest"
)

var (
	rounds = flag.Int("rounds", 5, "interleaved rounds; medians are printed")
	mb     = flag.Int("mb", 200, "megabytes through each session")
	keys   = flag.Int("keys", 2000, "keystrokes in each round")
	only   = flag.String("only", "", "recorders to measure, by part of their names, with commas")
)

func TestMain(m *testing.M) { hosttest.Main(m) }

func setup(t *testing.T) []recorder {
	t.Helper()
	hosttest.Install(t)
	hosttest.AddUser(t, "benchsudo", "/bin/sh")
	hosttest.Config(t, "wrap", "notice: \"\"\nguard: \"no\"\nlimits: {session: 1TiB, free: 0}\n")
	sudoers := "Defaults log_output, iolog_dir=/dev/shm/iolog, !compress_io, !use_pty\nroot ALL=(ALL) NOPASSWD: ALL\n"
	if err := os.WriteFile("/etc/sudoers.d/bench", []byte(sudoers), 0o440); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "mount", "-t", "tmpfs", "-o", "mode=0750", "spool", "/var/spool/castgate")
	for _, sub := range []string{"live", "incoming", "bad"} {
		hosttest.Run(t, "install", "-d", "-m", "0770", "-g", "castgate", "/var/spool/castgate/"+sub)
	}
	hosttest.Run(t, "chgrp", "castgate", "/var/spool/castgate")
	list := recorders(t)
	if *only == "" {
		return list
	}
	return slices.DeleteFunc(list, func(r recorder) bool {
		return r.name != "plain pty" && !slices.ContainsFunc(strings.Split(*only, ","), func(s string) bool { return strings.Contains(r.name, s) })
	})
}

// table is one table of the report: a row for each recorder.
type table struct {
	title, note string
	columns     []string
	rows        map[string][]string
	order       []string
}

func newTable(title, note string, columns ...string) *table {
	return &table{title: title, note: note, columns: columns, rows: map[string][]string{}}
}

func (x *table) add(row string, cells ...string) {
	if _, ok := x.rows[row]; !ok {
		x.order = append(x.order, row)
	}
	x.rows[row] = append(x.rows[row], cells...)
}

func (x *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n| | %s |\n|---|%s\n", x.title, x.note, strings.Join(x.columns, " | "), strings.Repeat("---|", len(x.columns)))
	for _, name := range x.order {
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(x.rows[name], " | "))
	}
	return b.String() + "\n"
}

func median(v []float64) float64 { return percentile(v, 50) }

func percentile(v []float64, p int) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return v[min(len(v)-1, len(v)*p/100)]
}

func num(f float64, digits int) string { return strconv.FormatFloat(f, 'f', digits, 64) }

// workloads are what flows through a session.
var workloads = []struct {
	name string
	make func(size int) []byte
}{
	{"log lines", func(n int) []byte {
		return fill(n, func(i int) string {
			return fmt.Sprintf("Nov 21 10:%02d:%02d web1 sshd[%d]: Accepted publickey for deploy from 192.0.2.7 port %d ssh2\r\n", i/60%60, i%60, 1000+i%30000, 1024+i%60000)
		})
	}},
	{"UTF-8 text", func(n int) []byte {
		return fill(n, func(i int) string {
			return fmt.Sprintf("%d größer als früher; 日本語のテキスト, ещё строка — naïve café\r\n", i)
		})
	}},
	{"full-screen ANSI", func(n int) []byte {
		return fill(n, func(i int) string {
			return fmt.Sprintf("\x1b[%d;%dH\x1b[1;3%dm%5d\x1b[0m root \x1b[32m%3d.%d\x1b[K", i%24+1, i%70+1, i%8, i%32768, i%100, i%10)
		})
	}},
	{"random bytes", func(n int) []byte {
		rnd := rand.NewChaCha8([32]byte{1})
		p := make([]byte, n)
		_, _ = rnd.Read(p)
		return p
	}},
}

func fill(n int, line func(int) string) []byte {
	p := make([]byte, 0, n+200)
	for i := 0; len(p) < n; i++ {
		p = append(p, line(i)...)
	}
	return p[:n]
}

// TestBench measures everything and writes the report.
func TestBench(t *testing.T) {
	list := setup(t)
	var out strings.Builder
	header(&out, list)
	for _, x := range []*table{measureThroughput(t, list), measureKeys(t, list), measureStart(t, list), measureMemory(t, list), measureKilled(t, list)} {
		out.WriteString(x.String())
	}
	// A throwaway host keeps no files: make bench takes the report from here.
	fmt.Printf("%s\n(end of the report)\n", strings.TrimSpace(out.String()))
}

func header(out *strings.Builder, list []recorder) {
	uname, _ := exec.Command("uname", "-sr").Output()
	fmt.Fprintf(out, "# Benchmarks\n\nWritten by `make bench` on %s: %s, %d CPUs, %s. The harness plays sshd: it allocates\n"+
		"the outer pty, starts the recorder on its slave and reads the master. All recordings go to\n"+
		"a tmpfs. Medians of %d interleaved rounds; ratios are to the plain pty of the same round.\n\n",
		time.Now().UTC().Format("2006-01-02"), strings.TrimSpace(string(uname)), runtime.NumCPU(), runtime.Version(), *rounds)
	for _, r := range list {
		if r.version != nil {
			v, _ := exec.Command(r.version[0], r.version[1:]...).CombinedOutput()
			line, _, _ := strings.Cut(string(v), "\n")
			fmt.Fprintf(out, "- %s: `%s` (%s)\n", r.name, strings.Join(r.argv("COMMAND", "DIR"), " "), strings.TrimSpace(line))
		}
	}
	out.WriteString("\n")
}

func measureThroughput(t *testing.T, list []recorder) *table {
	x := newTable("Throughput", fmt.Sprintf("%d MB through the session, ratio to the plain pty (more is better); CPU seconds per 100 MB and bytes on disk per byte shown.", *mb))
	for _, w := range workloads {
		x.columns = append(x.columns, w.name, "CPU", "disk")
		data := w.make(*mb << 20)
		path := filepath.Join("/dev/shm", "bench-input")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		ratio, cpu, disk := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
		for range *rounds {
			plain := 0.0
			for _, r := range list {
				got := runThroughput(t, r, path, len(data))
				if plain == 0 {
					plain = got.wall
				}
				ratio[r.name] = append(ratio[r.name], plain/got.wall)
				cpu[r.name] = append(cpu[r.name], got.cpu*100/float64(*mb))
				disk[r.name] = append(disk[r.name], float64(got.file)/float64(len(data)))
			}
		}
		for _, r := range list {
			x.add(r.name, num(median(ratio[r.name]), 2), num(median(cpu[r.name]), 2), num(median(disk[r.name]), 2))
		}
		_ = os.Remove(path)
	}
	return x
}

func measureKeys(t *testing.T, list []recorder) *table {
	x := newTable("Keystroke echo", fmt.Sprintf("%d keys a round, 1 ms apart, microseconds to the echo of `cat` in raw mode.", *keys), "p50", "p90", "p99")
	got := map[string][3][]float64{}
	for range *rounds {
		for _, r := range list {
			trips := runKeys(t, r, *keys, time.Millisecond)
			v := got[r.name]
			for i, p := range []int{50, 90, 99} {
				v[i] = append(v[i], percentile(trips, p))
			}
			got[r.name] = v
		}
	}
	for _, r := range list {
		for i := range 3 {
			x.add(r.name, num(median(got[r.name][i]), 0))
		}
	}
	return x
}

func measureStart(t *testing.T, list []recorder) *table {
	x := newTable("Start-up", "Milliseconds to the first byte of the inner command.", "median", "above plain")
	got := map[string][]float64{}
	for range *rounds * 10 {
		for _, r := range list {
			got[r.name] = append(got[r.name], runStart(t, r))
		}
	}
	plain := median(got[list[0].name])
	for _, r := range list {
		x.add(r.name, num(median(got[r.name]), 1), num(median(got[r.name])-plain, 1))
	}
	return x
}

// measureMemory adds up the proportional set sizes of the recorder's processes.
func measureMemory(t *testing.T, list []recorder) *table {
	x := newTable("Memory", "Proportional set size of an idle session's recorder, MB each.", "1 session", "100 sessions")
	for _, r := range list[1:] {
		for _, n := range []int{1, 100} {
			if n > 1 && r.name == "asciinema" {
				x.add(r.name, "-")
				continue
			}
			var all []*session
			for range n {
				s := begin(t, r, "echo BE''GIN; exec sleep 600")
				if _, err := s.awaitText("BEGIN"); err != nil {
					t.Fatalf("%s: %v", r.name, err)
				}
				all = append(all, s)
			}
			time.Sleep(500 * time.Millisecond)
			total := 0
			for _, s := range all {
				total += pss(s.cmd.Process.Pid)
			}
			x.add(r.name, num(float64(total)/1024/float64(n), 2))
			for _, s := range all {
				_ = s.cmd.Process.Kill() // some don't end at a hang-up
			}
			for _, s := range all {
				s.kill()
				s.clean()
			}
		}
	}
	return x
}

// pss is that of pid and its children, in KiB, without the inner command.
func pss(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	total := 0
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if name := strings.TrimSpace(string(comm)); name != "sleep" && name != "sh" {
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				total, _ = strconv.Atoi(f[1])
			}
		}
	}
	kids, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(kids)) {
		kid, _ := strconv.Atoi(f)
		total += pss(kid)
	}
	return total
}

func measureKilled(t *testing.T, list []recorder) *table {
	x := newTable("After SIGKILL of the recorder", "Bytes that had reached the person and are not in the file: least to most of the rounds.", "slow output", "in a burst")
	for _, r := range list {
		if r.file == "" {
			continue
		}
		for _, c := range []struct {
			command string
			after   int
		}{
			{"stty -opost; while :; do echo 0123456789012345678901234567890123456789; sleep 0.001; done", 4000},
			{"stty -opost; yes 0123456789012345678901234567890123456789", 10 << 20},
		} {
			var lost []float64
			readable := true
			for range *rounds {
				n, ok := runKilled(t, r, c.command, c.after)
				lost, readable = append(lost, float64(n)), readable && ok
			}
			cell := "file can't be read"
			if readable {
				cell = fmt.Sprintf("%.0f to %.0f", slices.Min(lost), slices.Max(lost))
			}
			x.add(r.name, cell)
		}
	}
	return x
}
