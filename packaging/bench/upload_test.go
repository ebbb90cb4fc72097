// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

// corpus is a directory of recordings.
type corpus struct {
	name  string
	dir   string
	count int
	bytes int64
}

const (
	uploads  = "/dev/shm/upload" // state, archives, buckets
	incoming = spoolDir + "/incoming"
	gateway  = "../../.build/versitygw"
)

// newCorpus writes count recordings of about size bytes of log lines each.
func newCorpus(t *testing.T, name string, as *syscall.Credential, count, size int) corpus {
	t.Helper()
	c := corpus{name: name, dir: filepath.Join("/dev/shm/corpus", strings.ReplaceAll(name, " ", "-")), count: count}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lines := logLines(size + 4096)
	now := time.Now()
	for i := range count {
		id := asciicast.NewID(now.Add(time.Duration(i) * time.Millisecond))
		cast := recordingOf(id, as, now, lines[i%4096:][:size])
		path := filepath.Join(c.dir, id+".cast")
		write(t, path, string(cast))
		if err := os.Chown(path, int(as.Uid), -1); err != nil {
			t.Fatal(err)
		}
		c.bytes += int64(len(cast))
	}
	return c
}

// recordingOf is a session that printed text, 2 KB at a time.
func recordingOf(id string, as *syscall.Credential, start time.Time, text []byte) []byte {
	out := asciicast.AppendHeader(nil, asciicast.Header{
		Term: asciicast.Term{Cols: 80, Rows: 24, Type: "xterm"}, Timestamp: start.Unix(),
		Session: &asciicast.Session{ID: id, Mode: "setgid", Host: hosttest.Hostname, User: "bench", UID: int(as.Uid), TTY: true, Kind: asciicast.KindShell, Version: "castgate"},
	})
	var enc asciicast.Encoder
	at := time.Duration(0)
	for len(text) > 0 {
		n := min(len(text), 2048)
		out = enc.AppendOutput(out, at, text[:n])
		text, at = text[n:], at+50*time.Millisecond
	}
	return enc.AppendExit(out, at, 0)
}

// way is one way to bring a corpus from the spool to a target. prepare makes
// an empty target and returns the command.
type way struct {
	name    string
	files   string // where the recordings arrive, a pattern
	prepare func(t *testing.T) []string
}

// upload is one run.
type upload struct {
	wall, cpu float64 // seconds
	peak      float64 // resident, MB
}

func measureUpload(t *testing.T, r *report) {
	as := r.recorder(ours).as
	ways := uploadWays(t, r)
	notes := "Megabytes are those of the recordings, uncompressed; CPU and memory are the uploader's own."
	for _, c := range []corpus{
		newCorpus(t, "small recordings", as, *recordings, 100<<10),
		newCorpus(t, "large recordings", as, 8, *mb<<20/8),
	} {
		x := r.table("Upload, "+c.name, fmt.Sprintf("%d recordings, %d MB together, from the spool to the target. %s", c.count, c.bytes>>20, notes),
			"recordings/s", "MB/s", "CPU s / 100 MB", "peak RSS, MB")
		walls, cpus, peaks := samples{}, samples{}, samples{}
		for range *rounds {
			for _, w := range ways {
				got := runUpload(t, w, c)
				walls.add(w.name, got.wall)
				cpus.add(w.name, got.cpu)
				peaks.add(w.name, got.peak)
			}
		}
		mbs := float64(c.bytes) / (1 << 20)
		for _, w := range ways {
			wall := median(walls[w.name])
			x.add(w.name, num(float64(c.count)/wall, 0), num(mbs/wall, 0), num(median(cpus[w.name])*100/mbs, 2), num(median(peaks[w.name]), 0))
		}
		r.atLeast("upload to dir to cp + zstd -3, "+c.name, 0.8, median(walls.ratios(ways[0].name, "dir")), "")
		_ = os.RemoveAll(c.dir)
	}
	measureWaiting(t, r, ways[2], as)
}

// measureWaiting looks at the memory with few and with many in the spool.
func measureWaiting(t *testing.T, r *report, dir way, as *syscall.Credential) {
	x := r.table("Upload, memory", "Peak resident set of castgate-upload while it drains the spool to dir, MB, in one run.", "recordings/s", "peak RSS, MB")
	peak := map[int]float64{}
	for _, n := range []int{max(*waiting/50, 1), *waiting} {
		c := newCorpus(t, fmt.Sprintf("%d waiting", n), as, n, 400)
		got := runUpload(t, dir, c)
		_ = os.RemoveAll(c.dir)
		peak[n] = got.peak
		x.add(c.name, num(float64(n)/got.wall, 0), num(got.peak, 0))
	}
	r.atMost(fmt.Sprintf("upload's memory with %d waiting to that with a fiftieth", *waiting), 1.5, peak[*waiting]/peak[max(*waiting/50, 1)], "")
}

// runUpload fills the spool with copies of the corpus and times the way.
func runUpload(t *testing.T, w way, c corpus) upload {
	t.Helper()
	for _, dir := range []string{uploads, incoming} {
		hosttest.Run(t, "sh", "-c", "mkdir -p "+dir+" && find "+dir+" -mindepth 1 -delete")
	}
	hosttest.Run(t, "cp", "-a", c.dir+"/.", incoming)
	argv := w.prepare(t)
	cmd := exec.Command(argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watchPeak(cmd.Process.Pid)
	err := cmd.Wait()
	wall := time.Since(start).Seconds()
	if files, _ := filepath.Glob(w.files); err != nil || len(files) != c.count {
		t.Fatalf("%s: %v, %d of %d arrived\n%.2000s", w.name, err, len(files), c.count, out.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return upload{wall, time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds(), peak()}
}

// watchPeak follows VmHWM until the process has gone; ru_maxrss would begin
// with that of the harness.
func watchPeak(pid int) func() float64 {
	result := make(chan float64)
	go func() {
		peak := 0.0
		for ; ; time.Sleep(10 * time.Millisecond) {
			kb, err := strconv.Atoi(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), "VmHWM"), " kB"))
			if err != nil {
				result <- peak
				return
			}
			peak = max(peak, float64(kb)/1024)
		}
	}()
	return func() float64 { return <-result }
}

// uploadWays lists the measure of all and the targets.
func uploadWays(t *testing.T, r *report) []way {
	config := func(t *testing.T, target string) []string {
		t.Helper()
		path := uploads + "/upload.yaml"
		write(t, path, "state: "+uploads+"/state\nsigning_key: /etc/castgate/signing-key\ntargets:\n  - "+target+"\n")
		return []string{"castgate-upload", "-config", path, "drain", "-once"}
	}
	made := func(t *testing.T, name string) string {
		t.Helper()
		path := filepath.Join(uploads, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const copied = uploads + "/copied"
	const copying = "cp -r " + incoming + " " + copied + " && zstd -q -3 --rm -r " + copied
	const loop = "mkdir " + copied + " && for f in " + incoming + "/*; do cp $f " + copied + " && zstd -q -3 --rm " + copied + "/${f##*/}; done"
	pki := t.TempDir()
	for _, args := range [][]string{{"init"}, {"server", "127.0.0.1"}, {"host", hosttest.Hostname}} {
		hosttest.Run(t, append([]string{"castgate", "ca", "-dir", pki + "/ca", "-out", pki}, args...)...)
	}
	r.commands = append(r.commands,
		"cp + zstd -3: `"+copying+"`"+firstLine("zstd", "--version"),
		"cp + zstd -3, one by one: `"+loop+"`",
		"castgate-upload: `castgate-upload drain -once`, signing, 4 recordings at once; S3 is versitygw on loopback with its files in memory, archive is `castgate serve` on loopback with mutual TLS"+firstLine("sh", "-c", "go version -m "+gateway+` | awk '$1 == "mod" { print $2, $3 }'`))
	ways := []way{
		{"cp + zstd -3", copied + "/*.zst", func(*testing.T) []string { return []string{"sh", "-c", copying} }},
		{"cp + zstd -3, one by one", copied + "/*.zst", func(*testing.T) []string { return []string{"sh", "-c", loop} }},
		{"dir", uploads + "/dir/bench/*/*/*/*/*.zst", func(t *testing.T) []string {
			return config(t, "dir: {path: "+made(t, "dir")+"}")
		}},
		{"archive", uploads + "/store/bench/*/*/*/*/*.zst", func(t *testing.T) []string {
			store := made(t, "store")
			addr := startServer(t, nil, func(addr string) []string {
				path := uploads + "/archive.yaml"
				write(t, path, fmt.Sprintf("store: {dir: %s}\nindex: %s/index\nweb: {listen: \"\"}\nreceive: {listen: %q, ca_file: %s/ca/ca.crt, cert_file: %[4]s/server.crt, key_file: %[4]s/server.key}\n", store, uploads, addr, pki))
				return []string{"castgate", "serve", "-config", path}
			})
			return config(t, "archive: {url: \"https://"+addr+"\", ca_file: "+pki+"/ca/ca.crt, cert_file: "+pki+"/"+hosttest.Hostname+".crt, key_file: "+pki+"/"+hosttest.Hostname+".key}")
		}},
	}
	if _, err := os.Stat(gateway); err != nil {
		t.Log("no upload to S3: make bench builds the server")
		return ways
	}
	return append(ways, way{"S3", uploads + "/s3/recordings/bench/*/*/*/*/*.zst", func(t *testing.T) []string {
		made(t, "s3")
		made(t, "s3/recordings")
		write(t, uploads+"/credentials", "aws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
		addr := startServer(t, []string{"ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret"}, func(addr string) []string {
			return []string{gateway, "--port", addr, "posix", uploads + "/s3"}
		})
		return config(t, "s3: {endpoint: \"http://"+addr+"\", bucket: recordings, credentials_file: "+uploads+"/credentials, path_style: true}")
	}})
}

// startServer runs a server on a free port of loopback until the next one is
// started or the test ends.
func startServer(t *testing.T, env []string, argv func(addr string) []string) (addr string) {
	t.Helper()
	stopServer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	args := argv(addr)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopServer = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		stopServer = func() {}
	}
	t.Cleanup(func() { stopServer() })
	hosttest.WaitFor(t, args[0]+" to listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}

var stopServer = func() {}
