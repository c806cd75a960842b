// Package requirements keeps the books of what RFCs demand: it reads the tests'
// names and writes docs/requirements.tsv, one line per requirement.
//
// A test of a row is named after it. TestR9293_M10_SimultaneousOpen is about
// MUST-10 of RFC 9293, S, Y and C stand for SHLD, MAY and REC; CL1, AK3 and the
// like are the rules of its section 3.10 that have no number, listed in this
// package. TestR6298_2_1_InitialRTO is about section 2.1 of RFC 6298; a letter
// behind the section tells several rules of one section apart. The first line of
// the test's doc comment says the rule, and a comment with the mark of a
// deviation says that the test pins something else, and why.
package requirements

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// File is where the list is kept, relative to the repository's root.
const File = "docs/requirements.tsv"

const header = "row\tlevel\tresult\ttests\tstatement\n"

// mark in a test's doc comment says that the row is not met on purpose.
const mark = "Deviation:"

// Row is one requirement.
type Row struct {
	ID        string // RFC 9293: the tests' prefix, such as "M10" or "CL1"
	Section   string // of RFC 9293
	Statement string
}

// Test is one test function about a row.
type Test struct {
	RFC       int
	Row       string // "M10", or "2.1" for a section
	Name      string // package and function: "tcp.TestR9293_M10_SimultaneousOpen"
	Statement string // first line of the doc comment
	Deviation bool
}

// Result says how a row stands.
type Result string

// The results. A row with one deviating test among others is a deviation.
const (
	Met      Result = "met"
	Deviates Result = "deviation"
	Missing  Result = "missing"
)

// Line is one line of the list.
type Line struct {
	Row       string // "R9293-MUST-10", "R9293-CL1", "R6298-2.1"
	Level     string // MUST, SHOULD, MAY, RECOMMENDED; "text" where the RFC gives none, "-" where this list does not know
	Result    Result
	Tests     []string // sorted
	Statement string
}

// Scan reads the test files of the library at root: everything but the modules
// of the command and the benchmarks, test data, and directories that the go
// command ignores. It returns the tests in the order of their names.
func Scan(root string) ([]Test, error) {
	var tests []Test
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && skip(rel, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		found, err := Parse(rel, src)
		tests = append(tests, found...)
		return err
	})
	sort.Slice(tests, func(i, j int) bool { return tests[i].Name < tests[j].Name })
	return tests, err
}

func skip(rel, base string) bool {
	return rel == "cmd" || rel == "bench" || base == "testdata" ||
		rel != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_"))
}

// Parse returns the tests about rows in one test file; path is relative to the
// root, with slashes. A name that starts like one of them but names no row is an
// error: a slip of the pen would otherwise hide a test.
func Parse(path string, src []byte) ([]Test, error) {
	if !strings.Contains(string(src), "func TestR") {
		return nil, nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	pkg := strings.TrimSuffix(f.Name.Name, "_test")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		pkg = path[:i]
	}
	var tests []Test
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !prefix.MatchString(fn.Name.Name) {
			continue
		}
		t, err := parseName(fn.Name.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		doc := fn.Doc.Text()
		t.Name = pkg + "." + fn.Name.Name
		t.Statement, _, _ = strings.Cut(doc, "\n")
		t.Statement = strings.TrimSpace(strings.ReplaceAll(t.Statement, "\t", " "))
		t.Deviation = strings.Contains(doc, mark)
		if t.Statement == "" {
			return nil, fmt.Errorf("%s: %s needs a doc comment whose first line says the rule", path, fn.Name.Name)
		}
		tests = append(tests, t)
	}
	return tests, nil
}

var (
	prefix  = regexp.MustCompile(`^TestR[0-9]+_`)
	section = regexp.MustCompile(`^[0-9]+[a-z]?$`)
	coded   = regexp.MustCompile(`^[A-Z]{1,3}[0-9]+$`)
	letter  = regexp.MustCompile(`^[a-z]$`)
)

// parseName takes a name apart: the RFC, the row, and a title that is not kept.
func parseName(name string) (Test, error) {
	parts := strings.Split(strings.TrimPrefix(name, "TestR"), "_")
	rfc, err := strconv.Atoi(parts[0])
	if err != nil {
		return Test{}, fmt.Errorf("%s: %q is no RFC", name, parts[0])
	}
	t := Test{RFC: rfc}
	parts = parts[1:]
	n := 0
	for n < len(parts) && section.MatchString(parts[n]) {
		n++
	}
	switch {
	case rfc == 9293:
		if _, _, ok := find(parts[0]); !ok {
			return Test{}, fmt.Errorf("%s: RFC 9293 has no row %q", name, parts[0])
		}
		t.Row, n = parts[0], 1
	case n > 0:
		t.Row = strings.Join(parts[:n], ".")
	case coded.MatchString(parts[0]) || letter.MatchString(parts[0]):
		t.Row, n = parts[0], 1
	}
	if t.Row == "" || n == len(parts) || parts[n] == "" {
		return Test{}, fmt.Errorf("%s: want TestR<RFC>_<row>_<title>", name)
	}
	return t, nil
}

// Lines returns the list: the rows of RFC 9293 in its own order, whether tested
// or not, and then the tested rows of other RFCs, by number and section.
func Lines(tests []Test) []Line {
	byRow := make(map[string][]Test)
	for _, t := range tests {
		if t.RFC == 9293 {
			byRow[t.Row] = append(byRow[t.Row], t)
		}
	}
	var lines []Line
	for _, g := range groups() {
		for _, r := range g.rows {
			l := newLine("R9293-"+g.label(r.ID), g.level, byRow[r.ID])
			l.Statement = fmt.Sprintf("%s (§%s)", r.Statement, r.Section)
			lines = append(lines, l)
		}
	}
	return append(lines, otherLines(tests)...)
}

func otherLines(tests []Test) []Line {
	type key struct {
		rfc int
		row string
	}
	byRow := make(map[key][]Test)
	for _, t := range tests {
		if t.RFC != 9293 {
			k := key{t.RFC, t.Row}
			byRow[k] = append(byRow[k], t)
		}
	}
	keys := make([]key, 0, len(byRow))
	for k := range byRow {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].rfc != keys[j].rfc {
			return keys[i].rfc < keys[j].rfc
		}
		return rowLess(keys[i].row, keys[j].row)
	})
	var lines []Line
	for _, k := range keys {
		lines = append(lines, newLine(fmt.Sprintf("R%d-%s", k.rfc, k.row), "-", byRow[k]))
	}
	return lines
}

// rowLess orders sections by their numbers: 3.2 before 3.10.
func rowLess(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(as) && i < len(bs); i++ {
		if as[i] == bs[i] {
			continue
		}
		x, y := number(as[i]), number(bs[i])
		if x != y {
			return x < y
		}
		return as[i] < bs[i]
	}
	return len(as) < len(bs)
}

func number(s string) int {
	n, _ := strconv.Atoi(strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz"))
	return n
}

func newLine(row, level string, tests []Test) Line {
	l := Line{Row: row, Level: level, Result: Missing}
	for _, t := range tests {
		l.Tests = append(l.Tests, t.Name)
		if l.Statement == "" {
			l.Statement = t.Statement
		}
		if l.Result != Deviates {
			l.Result = Met
		}
		if t.Deviation {
			l.Result = Deviates
		}
	}
	sort.Strings(l.Tests)
	return l
}

// Format returns the lines as the text of File: a header, then one line per
// row, fields separated by tabs.
func Format(lines []Line) []byte {
	b := []byte(header)
	for _, l := range lines {
		tests := strings.Join(l.Tests, " ")
		if tests == "" {
			tests = "-"
		}
		b = fmt.Appendf(b, "%s\t%s\t%s\t%s\t%s\n", l.Row, l.Level, l.Result, tests, l.Statement)
	}
	return b
}

// Summary counts the lines by result, RFC 9293 and the others apart.
func Summary(lines []Line) string {
	var own, other [3]int
	for _, l := range lines {
		n := &other
		if strings.HasPrefix(l.Row, "R9293-") {
			n = &own
		}
		switch l.Result {
		case Met:
			n[0]++
		case Deviates:
			n[1]++
		case Missing:
			n[2]++
		}
	}
	return fmt.Sprintf("RFC 9293: %d met, %d deviations, %d missing; other RFCs: %d met, %d deviations",
		own[0], own[1], own[2], other[0], other[1])
}
