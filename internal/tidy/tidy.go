// Package tidy is the house style as code: each sentence of STYLE.md that a
// machine can check is a Rule here, and the package's test runs every Rule over
// the repository.
//
// A Rule looks at syntax only, so that it sees the files of all systems and
// also those that do not compile. What a Rule calls wrong may be right in one
// place: a comment of the form
//
//	//tidy:allow RULE the reason
//
// at the top of a file, in the doc comment of a declaration, or at the end of a
// line excuses that file, declaration or line. An excuse without a reason, or
// one that excuses nothing, is a finding itself. The rules that keep the core
// free of clocks, locks and floats accept no excuse.
package tidy

import (
	"fmt"
	"sort"
)

// Rule is one sentence of the style. Check returns what breaks it.
type Rule struct {
	Name      string
	Sentence  string // what the rule demands, for messages
	Excusable bool   // whether //tidy:allow works
	Check     func(t *Tree) []Finding
}

// Finding is one place that breaks a Rule. A Finding with Warn set asks for a
// second look and fails nothing.
type Finding struct {
	Path string // relative to the repository's root, with slashes
	Line int    // counted from 1; 0 if the whole file is meant
	Text string
	Warn bool
}

// String prints the finding as compilers do: path, line, text.
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.Path, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// Rules returns all rules, in the order in which they are worth reading.
func Rules() []Rule {
	return append(styleRules(), Rule{
		Name:     "excuses",
		Sentence: "a //tidy:allow names a rule that can be excused, gives a reason, and is needed",
		Check:    checkExcuses,
	})
}

func styleRules() []Rule {
	return []Rule{
		{"gofmt", "Go files are formatted by gofmt", false, checkFormat},
		{"file-length", "a file has at most 700 lines", true, checkFileLength},
		{"function-length", "a function has at most 100 lines", true, checkFunctionLength},
		{"doc-comment", "everything exported has a doc comment", true, checkDocComments},
		{"banned-words", "no word puts work off until later", true, checkWords},
		{"deviation", "who deviates from an RFC says why", false, checkDeviations},
		{"places", "no path of one machine, no host of one network", true, checkPlaces},
		{"package-variables", "package-level variables are tables, sentinel errors or pools", true, checkVariables},
		{"init", "no init function", true, checkInit},
		{"reflection", "no reflection", true, checkReflection},
		{"core-clock", "in the core, time is a parameter", false, checkClock},
		{"core-random", "in the core, randomness is a parameter", false, checkRandom},
		{"core-goroutine", "the core starts no goroutine and knows no channel", false, checkGoroutines},
		{"core-lock", "the core holds no lock", false, checkLocks},
		{"core-system", "the core does not know the operating system", false, checkSystem},
		{"core-float", "the core calculates with integers", false, checkFloats},
		{"import-arrows", "imports follow the arrows of ARCHITECTURE.md", false, checkArrows},
		{"test-sleep", "a test sleeps in a testing/synctest bubble only", true, checkSleep},
		{"fuzz-corpus", "a fuzz target keeps a seed corpus", false, checkFuzz},
	}
}

// Run applies r to t and returns what fails and what only warns, without what
// is excused, both sorted by place.
func (r Rule) Run(t *Tree) (fail, warn []Finding) {
	for _, f := range r.Check(t) {
		switch {
		case f.Warn:
			warn = append(warn, f)
		case r.Excusable && t.excused(r.Name, f):
		default:
			fail = append(fail, f)
		}
	}
	sortFindings(fail)
	sortFindings(warn)
	return fail, warn
}

func sortFindings(fs []Finding) {
	sort.SliceStable(fs, func(i, j int) bool {
		if fs[i].Path != fs[j].Path {
			return fs[i].Path < fs[j].Path
		}
		return fs[i].Line < fs[j].Line
	})
}
