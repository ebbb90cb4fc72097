// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// report collects what the parts found.
type report struct {
	recorders []recorder
	tables    []*table
	targets   []target
	commands  []string           // what was run beside the recorders
	walls     map[string]samples // seconds per megabyte: workload, recorder, rounds
}

// samples are a figure's values, one a round, for each that was measured.
type samples map[string][]float64

func (s samples) add(name string, v float64) { s[name] = append(s[name], v) }

// ratios divides round by round.
func (s samples) ratios(a, b string) []float64 {
	var out []float64
	for i := range min(len(s[a]), len(s[b])) {
		out = append(out, s[a][i]/s[b][i])
	}
	return out
}

// table is one table of the report, a row for each that was measured.
type table struct {
	title, note string
	columns     []string
	rows        map[string][]string
	order       []string
}

func (r *report) table(title, note string, columns ...string) *table {
	x := &table{title: title, note: note, columns: columns, rows: map[string][]string{}}
	r.tables = append(r.tables, x)
	return x
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

// target is a promise and what was measured.
type target struct {
	what, limit, got string
	holds            bool
}

// atMost and atLeast note a target; digits are those of the measured figure.
func (r *report) atMost(what string, limit, got float64, unit string) {
	r.targets = append(r.targets, target{what, "at most " + num(limit, 2) + unit, num(got, 2) + unit, got <= limit})
}

func (r *report) atLeast(what string, limit, got float64, unit string) {
	r.targets = append(r.targets, target{what, "at least " + num(limit, 2) + unit, num(got, 2) + unit, got >= limit})
}

func (r *report) String() string {
	var b strings.Builder
	r.head(&b)
	b.WriteString("## Targets\n\n| | target | measured | |\n|---|---|---|---|\n")
	for _, x := range r.targets {
		verdict := "misses"
		if x.holds {
			verdict = "holds"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", x.what, x.limit, x.got, verdict)
	}
	b.WriteString("\n")
	for _, x := range r.tables {
		b.WriteString(x.String())
	}
	b.WriteString("## Command lines\n\n")
	for _, rec := range r.recorders {
		fmt.Fprintf(&b, "- %s: `%s`%s\n", rec.name, strings.Join(rec.argv("COMMAND", "DIR"), " "), firstLine(rec.version...))
	}
	for _, c := range r.commands {
		fmt.Fprintf(&b, "- %s\n", c)
	}
	return strings.TrimSpace(b.String())
}

const method = `Medians of %d interleaved rounds: in each, all that stand in a table do the same work one
after the other. Only ratios within this file mean anything. The harness plays sshd: it
allocates the outer pty, starts the recorder on its slave with an inner command, and reads the
master. Recordings, and all else that is written, go to memory (tmpfs), where a sync costs
nothing, so that programs are compared and not disks. castgate-wrap runs set-gid and without
the guard, as a user; the peers run as root, which spares them checks. The floor is a nested pty
that records nothing: c-pass polls, reads and writes in C; go-pass is creack/pty and two io.Copy.

`

func (r *report) head(b *strings.Builder) {
	fmt.Fprintf(b, "# Benchmarks\n\nWritten by `make bench%s` on %s.\n\n", flagsGiven(), time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintf(b, "- %d x %s, %s of memory, %s%s\n- %s, %s\n\n", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal"),
		output("uname", "-sr"), firstLine("sh", "-c", `. /etc/os-release && echo "$PRETTY_NAME"`), runtime.Version(), output("sh", "-c", "cc --version | head -1"))
	fmt.Fprintf(b, method, *rounds)
}

// flagsGiven is BENCHFLAGS as it was given.
func flagsGiven() string {
	var given []string
	for _, a := range os.Args[1:] {
		if !strings.HasPrefix(a, "-test.") {
			given = append(given, a)
		}
	}
	if len(given) == 0 {
		return ""
	}
	return " BENCHFLAGS='" + strings.Join(given, " ") + "'"
}

// field is the value of the first line of that name.
func field(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}

func output(argv ...string) string {
	out, _ := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out))
}

// firstLine is what a command that tells a version says, in brackets.
func firstLine(argv ...string) string {
	if len(argv) == 0 {
		return ""
	}
	line, _, _ := strings.Cut(output(argv...), "\n")
	return " (" + strings.Join(strings.Fields(line), " ") + ")"
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

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
