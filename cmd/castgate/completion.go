// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"flag"
	"fmt"
	"strings"

	"castgate/cmd/internal/cli"
)

// completionCommand prints a completion script. It is made from the same table
// and flag sets that the commands are run from, so that it can't be out of date.
func completionCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	return func() error {
		shells := map[string]func([]completion) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}
		script := shells[fs.Arg(0)]
		if script == nil || fs.NArg() != 1 {
			return cli.Hint(cli.Usage("want one shell: bash, zsh or fish"),
				"castgate completion bash > /usr/share/bash-completion/completions/castgate")
		}
		_, err := fmt.Fprint(env.Stdout, script(completions(env)))
		return err
	}
}

// completion is what a shell needs to know about one subcommand.
type completion struct {
	name, what string
	flags      []flagHelp
	files      bool // its arguments may be files
	ids        bool // and ids of recordings
}

type flagHelp struct {
	name, what string
	values     []string // what it takes, where these are few
}

// idsOf prints the newest ids that begin with $1: all that a shell can show.
const idsOf = `castgate ls -no-pager %s 2>/dev/null | sed -n '2,101s/ .*//p;101q'`

func completions(env *cli.Env) []completion {
	var all []completion
	for _, c := range commands() {
		fs := env.Flags("", "")
		c.setup(env, fs)
		one := completion{name: c.name, what: c.what, files: strings.Contains(c.args, "FILE") || strings.Contains(c.args, "DIR"), ids: strings.Contains(c.args, "ID")}
		fs.VisitAll(func(f *flag.Flag) {
			_, usage := flag.UnquoteUsage(f)
			few, _ := f.Value.(choice)
			one.flags = append(one.flags, flagHelp{f.Name, usage, few.of})
		})
		all = append(all, one)
	}
	return all
}

func names(all []completion) string {
	var words []string
	for _, c := range all {
		words = append(words, c.name)
	}
	return strings.Join(words, " ")
}

func (c completion) flagWords() string {
	var words []string
	for _, f := range c.flags {
		words = append(words, "-"+f.name)
	}
	return strings.Join(words, " ")
}

func bashScript(all []completion) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# bash completion for castgate\n_castgate_ids() { "+idsOf+"; }\n_castgate() {\n", `${1:+"$1"}`)
	b.WriteString("    local cur=${COMP_WORDS[COMP_CWORD]} words='' files='' ids=''\n")
	b.WriteString("    case ${COMP_WORDS[1]}${COMP_WORDS[COMP_CWORD-1]} in\n")
	for _, c := range all {
		for _, f := range c.flags {
			if f.values != nil {
				fmt.Fprintf(&b, "    %s-%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", c.name, f.name, strings.Join(f.values, " "))
			}
		}
	}
	b.WriteString("    esac\n")
	fmt.Fprintf(&b, "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='%s help -h -version'\n    else\n", names(all))
	b.WriteString("        case ${COMP_WORDS[1]} in\n")
	for _, c := range all {
		files := ""
		if c.files {
			files = " files=yes"
		}
		if c.ids {
			files += " ids=yes"
		}
		fmt.Fprintf(&b, "        %s) words='%s -h'%s ;;\n", c.name, c.flagWords(), files)
	}
	fmt.Fprintf(&b, "        help) words='%s' ;;\n        esac\n    fi\n", names(all))
	b.WriteString("    case $cur in\n    -*) files='' ids='' ;;\n    *) [ \"$COMP_CWORD\" -gt 1 ] && [ \"${COMP_WORDS[1]}\" != help ] && words='' ;;\n    esac\n")
	b.WriteString("    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n")
	b.WriteString("    [ -z \"$ids\" ] || COMPREPLY+=($(compgen -W \"$(_castgate_ids \"$cur\")\" -- \"$cur\"))\n")
	b.WriteString("    [ -z \"$files\" ] || { compopt -o filenames; COMPREPLY+=($(compgen -f -- \"$cur\")); }\n")
	b.WriteString("}\ncomplete -F _castgate castgate\n")
	return b.String()
}

func zshScript(all []completion) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef castgate\n_castgate_ids() {\n    local -a ids\n    ids=(${(f)\"$("+idsOf+")\"})\n    compadd -a ids\n    [ \"$1\" != files ] || _files\n}\n", `${PREFIX:+"$PREFIX"}`)
	b.WriteString("_castgate() {\n    local -a commands\n    commands=(\n")
	for _, c := range all {
		fmt.Fprintf(&b, "        %s\n", quote(c.name+":"+c.what))
	}
	b.WriteString("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi\n    case $words[2] in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "    %s) _arguments", c.name)
		for _, f := range c.flags {
			values := ""
			if f.values != nil {
				values = ":" + f.name + ":(" + strings.Join(f.values, " ") + ")"
			}
			fmt.Fprintf(&b, " %s", quote("-"+f.name+"["+zshSafe(f.what)+"]"+values))
		}
		switch {
		case c.ids && c.files:
			b.WriteString(" '*:recording:_castgate_ids files'")
		case c.ids:
			b.WriteString(" '*:recording:_castgate_ids'")
		case c.files:
			b.WriteString(" '*:file:_files'")
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("    help) (( CURRENT == 3 )) && _describe command commands ;;\n    esac\n}\n")
	b.WriteString("if [ \"$funcstack[1]\" = _castgate ]; then _castgate \"$@\"; else compdef _castgate castgate; fi\n")
	return b.String()
}

// zshSafe takes out what _arguments reads as its own syntax.
func zshSafe(s string) string { return strings.NewReplacer("[", "(", "]", ")", ":", " ").Replace(s) }

func fishScript(all []completion) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion for castgate\nfunction __castgate_ids\n    "+idsOf+"\nend\n", "(commandline -ct | string match -r '.+')")
	none := "'not __fish_seen_subcommand_from " + names(all) + "'"
	fmt.Fprintf(&b, "complete -c castgate -n %s -f\n", none)
	for _, c := range all {
		fmt.Fprintf(&b, "complete -c castgate -n %s -a %s -d %s\n", none, c.name, quote(c.what))
		seen := "'__fish_seen_subcommand_from " + c.name + "'"
		if !c.files {
			fmt.Fprintf(&b, "complete -c castgate -n %s -f\n", seen)
		}
		if c.ids {
			fmt.Fprintf(&b, "complete -c castgate -n %s -k -a '(__castgate_ids)'\n", seen)
		}
		for _, f := range c.flags {
			values := ""
			if f.values != nil {
				values = " -x -a " + quote(strings.Join(f.values, " "))
			}
			fmt.Fprintf(&b, "complete -c castgate -n %s -o %s%s -d %s\n", seen, f.name, values, quote(f.what))
		}
	}
	return b.String()
}

// quote makes s one word of a shell; all three join quoted parts with an escaped quote between.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
