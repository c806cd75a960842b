package requirements_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handfast/handfast/internal/requirements"
	"github.com/handfast/handfast/internal/tidy"
)

// docs/requirements.tsv is what the tests' names make.
func TestListIsCurrent(t *testing.T) {
	root, err := tidy.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := requirements.Scan(root)
	if err != nil {
		t.Fatal(err)
	}
	lines := requirements.Lines(tests)
	t.Log(requirements.Summary(lines))
	have, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(requirements.File)))
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(have), "\n"), strings.Split(string(requirements.Format(lines)), "\n")
	for i := range max(len(was), len(is)) {
		if a, b := at(was, i), at(is, i); a != b {
			t.Fatalf("%s is out of date: line %d\nhas   %q\nwants %q\nrun: go run ./internal/requirements/cmd/requirements -w",
				requirements.File, i+1, a, b)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// RFC 9293 numbers 119 requirements, each once; section 3.10 adds 26 rules. All
// are listed even if nothing tests them.
func TestRowsComplete(t *testing.T) {
	count := make(map[string]int)
	seen := make(map[string]bool)
	for _, l := range requirements.Lines(nil) {
		if seen[l.Row] {
			t.Errorf("row %s is listed twice", l.Row)
		}
		seen[l.Row] = true
		count[l.Level]++
		if l.Result != requirements.Missing || strings.ContainsAny(l.Statement, "\t\n") || len(l.Statement) < 20 {
			t.Errorf("row %s: result %s, statement %q", l.Row, l.Result, l.Statement)
		}
	}
	for level, want := range map[string]int{"MUST": 69, "SHOULD": 31, "RECOMMENDED": 1, "MAY": 18, "text": 26} {
		if count[level] != want {
			t.Errorf("%d rows of level %s, want %d", count[level], level, want)
		}
	}
	for _, row := range []string{"R9293-MUST-1", "R9293-MUST-69", "R9293-SHLD-31", "R9293-REC-1", "R9293-MAY-18", "R9293-QT1"} {
		if !seen[row] {
			t.Errorf("row %s is not listed", row)
		}
	}
}

const source = `package tcp_test

import "testing"

// Two ends may open at the same time. RFC 9293 §3.5.
func TestR9293_M10_SimultaneousOpen(t *testing.T) {}

// A hard ICMP error is a hint only.
//
// Deviation: it does not abort, because anyone can forge one (RFC 5927).
func TestR9293_S26_HardICMP(t *testing.T) {}

// The first RTO is one second. RFC 6298 §2.1.
func TestR6298_2_1_InitialRTO(t *testing.T) {}

// Ten comes after two. RFC 6298 §2.10.
func TestR6298_2_10_Ten(t *testing.T) {}

// A letter tells rules of one section apart.
func TestR6298_2_2a_First(t *testing.T) {}

// A letter alone will do.
func TestR4987_a_Flood(t *testing.T) {}

// So will the RFC's own code.
func TestR1337_F1_Assassination(t *testing.T) {}

func TestRetransmit(t *testing.T) {}

func (x T) TestR9293_M99_Method() {}
`

// The list follows from names and doc comments.
func TestLines(t *testing.T) {
	tests, err := requirements.Parse("link/tun/a_test.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	again, err := requirements.Parse("b_test.go", []byte(
		"package handfast\n\n// Again, from above.\nfunc TestR9293_M10_Again(t *testing.T) {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(requirements.Format(requirements.Lines(append(tests, again...))))
	for _, want := range []string{
		"R9293-MUST-10\tMUST\tmet\thandfast.TestR9293_M10_Again link/tun.TestR9293_M10_SimultaneousOpen\ttwo ends may open at the same time (§3.5)\n",
		"R9293-SHLD-26\tSHOULD\tdeviation\tlink/tun.TestR9293_S26_HardICMP\t",
		"R9293-MUST-11\tMUST\tmissing\t-\t",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	_, tail, _ := strings.Cut(text, "R9293-QT1")
	_, tail, _ = strings.Cut(tail, "\n")
	const others = "R1337-F1\t-\tmet\tlink/tun.TestR1337_F1_Assassination\tSo will the RFC's own code.\n" +
		"R4987-a\t-\tmet\tlink/tun.TestR4987_a_Flood\tA letter alone will do.\n" +
		"R6298-2.1\t-\tmet\tlink/tun.TestR6298_2_1_InitialRTO\tThe first RTO is one second. RFC 6298 §2.1.\n" +
		"R6298-2.2a\t-\tmet\tlink/tun.TestR6298_2_2a_First\tA letter tells rules of one section apart.\n" +
		"R6298-2.10\t-\tmet\tlink/tun.TestR6298_2_10_Ten\tTen comes after two. RFC 6298 §2.10.\n"
	if tail != others {
		t.Errorf("other RFCs:\n%s\nwant:\n%s", tail, others)
	}
}

// One deviating test makes the row a deviation, in whatever order they come.
func TestDeviationWins(t *testing.T) {
	a := requirements.Test{RFC: 9293, Row: "M10", Name: "a"}
	b := requirements.Test{RFC: 9293, Row: "M10", Name: "b", Deviation: true}
	for _, tests := range [][]requirements.Test{{a, b}, {b, a}} {
		for _, l := range requirements.Lines(tests) {
			if l.Row == "R9293-MUST-10" && l.Result != requirements.Deviates {
				t.Errorf("%v: %s", tests, l.Result)
			}
		}
	}
}

// A name that names no row is an error, not a test that nobody counts.
func TestBadNames(t *testing.T) {
	for _, name := range []string{
		"TestR9293_M70_TooFar", "TestR9293_XX1_NoSuchStep", "TestR9293_3_5_SectionNotRow",
		"TestR9293_M10", "TestR6298_2_1", "TestR6298_InitialRTO", "TestR6298_", "TestR99999999999999999999_1_X",
	} {
		src := "package p\n\n// Something is said.\nfunc " + name + "(t *testing.T) {}\n"
		if tests, err := requirements.Parse("p/a_test.go", []byte(src)); err == nil {
			t.Errorf("%s was taken for %+v", name, tests)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("the error %q does not name %s", err, name)
		}
	}
	src := "package p\n\nfunc TestR9293_M10_NoComment(t *testing.T) {}\n"
	if _, err := requirements.Parse("p/a_test.go", []byte(src)); err == nil {
		t.Error("a test without a doc comment was accepted")
	}
}
