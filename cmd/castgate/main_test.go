// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"castgate/cmd/internal/cli"
)

// castgate runs the program within the test and returns what it printed.
func castgate(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	env := &cli.Env{
		Name: "castgate", Args: args, Stdin: stdin, Stdout: &stdout, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Log: cli.Syslog("castgate-test"),
	}
	code = env.Finish(run(env))
	return code, stdout.String(), stderr.String()
}

func TestHelpListsEveryCommandAndEachHasItsOwn(t *testing.T) {
	_, all, _ := castgate(t, "-h")
	for _, c := range commands() {
		if !strings.Contains(all, "  "+c.name+" ") {
			t.Errorf("castgate -h does not list %s", c.name)
		}
		for _, args := range [][]string{{c.name, "-h"}, {"help", c.name}} {
			code, out, errs := castgate(t, args...)
			if code != 0 || errs != "" || !strings.HasPrefix(out, "usage: castgate "+c.name+" ") {
				t.Errorf("castgate %v: status %d, %q, %q", args, code, out, errs)
			}
		}
	}
}

func TestCommandLineErrors(t *testing.T) {
	for _, args := range [][]string{nil, {"nope"}, {"-nope"}, {"completion"}, {"completion", "csh"}, {"completion", "-nope", "bash"}} {
		code, out, errs := castgate(t, args...)
		if code != cli.StatusUsage || out != "" || !strings.HasPrefix(errs, "castgate: ") || !strings.Contains(errs, "hint: ") {
			t.Errorf("castgate %v: status %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
}

func TestFlagsMayFollowArguments(t *testing.T) {
	for _, tt := range []struct{ args, want []string }{
		{[]string{"a", "-b", "c"}, []string{"a", "c"}},
		{[]string{"-b", "a", "-", "c"}, []string{"a", "-", "c"}},
		{[]string{"a", "--", "-b", "c"}, []string{"a", "-b", "c"}},
		{[]string{}, nil},
	} {
		env := &cli.Env{Name: "x"}
		fs := env.Flags("", "")
		b := fs.Bool("b", false, "")
		if err := parseAnywhere(env, fs, tt.args); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fs.Args(), tt.want) || *b != slices.Contains(tt.args[:min(2, len(tt.args))], "-b") {
			t.Errorf("%q: got %q, -b %v", tt.args, fs.Args(), *b)
		}
	}
}

// The scripts are run by the shells that are there; bash always is.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, script, errs := castgate(t, "completion", shell)
		if code != 0 || errs != "" {
			t.Fatalf("%s: status %d, %s", shell, code, errs)
		}
		for _, c := range commands() {
			if !strings.Contains(script, c.name) {
				t.Errorf("%s: nothing about %s", shell, c.name)
			}
		}
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed: its script is not run", shell)
			continue
		}
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}

// listing is a castgate that has two recordings, for the shells' own syntax.
const listing = `castgate() { [ "$1 $2" = "ls -no-pager" ] || return 1; echo "ID    START"; for id in 01a2-one 01a3-two; do case $id in "$3"*) echo "$id  2026-11-30";; esac; done; }
`

func TestBashCompletes(t *testing.T) {
	_, script, _ := castgate(t, "completion", "bash")
	script += "compopt() { :; }\ncd /var/empty 2>/dev/null || cd \"$(mktemp -d)\"\n" + listing
	for _, tt := range []struct{ line, want string }{
		{"castgate compl", "completion"},
		{"castgate completion -ver", "-version"},
		{"castgate help compl", "completion"},
		{"castgate export -format h", "html"},
		{"castgate export -format=h", ""},
		{"castgate play 01a3", "01a3-two"},
		{"castgate export -format html 01a2", "01a2-one"},
		{"castgate ls 01", "01a2-one\n01a3-two"},
		{"castgate check 01", ""},
	} {
		words := strings.Fields(tt.line)
		test := script + `
COMP_WORDS=(` + tt.line + `) COMP_CWORD=` + string(rune('0'+len(words)-1)) + `
_castgate
printf '%s\n' "${COMPREPLY[@]}"`
		cmd := exec.Command("bash", "-c", test)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != tt.want {
			t.Errorf("%s: %q, %v", tt.line, out, err)
		}
	}
}

func TestFishCompletes(t *testing.T) {
	program, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("fish is not installed")
	}
	_, script, _ := castgate(t, "completion", "fish")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "castgate"), []byte("#!/bin/sh\n"+listing+"castgate \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"castgate export -format ": "html txt v2 v3", "castgate play 01a3": "01a3-two", "castgate ls ": "01a2-one 01a3-two", "castgate check 01": "",
	} {
		cmd := exec.Command(program, "--no-config", "-c", script+"\ncd "+dir+"\ncomplete -C '"+line+"'")
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8"}
		out, err := cmd.Output()
		var words []string
		for offer := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(offer), "\t")
			if word != "castgate" { // the file in the directory
				words = append(words, word)
			}
		}
		slices.Sort(words)
		if err != nil || strings.Join(words, " ") != want {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
}

func TestZshKnowsFormatsAndIDs(t *testing.T) {
	_, script, _ := castgate(t, "completion", "zsh")
	for _, want := range []string{":format:(v3 v2 txt html)'", "'*:recording:_castgate_ids files'", "'*:recording:_castgate_ids'"} {
		if !strings.Contains(script, want) {
			t.Errorf("it has no %s", want)
		}
	}
}
