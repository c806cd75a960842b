package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strings"
)

// The patterns are written so that none of them matches its own source: these
// rules read this file, too.

var offWords = []*regexp.Regexp{
	regexp.MustCompile(`\bTODO\b`),
	regexp.MustCompile(`\bFIXME\b`),
	regexp.MustCompile(`\bXXX\b`),
	regexp.MustCompile(`(?i)\bun(?:implemented)\b`),
	regexp.MustCompile(`(?i)\bfor\s+now\b`),
	regexp.MustCompile(`(?i)\bnot\s+yet\s+(?:implemented|supported|done|written)\b`),
	regexp.MustCompile(`(?i)\bissues?\s+#?[0-9]+\b`),
}

var placePatterns = []*regexp.Regexp{
	regexp.MustCompile(`(?:^|[^A-Za-z0-9_.)}*-])/(?:work|root|home|Users)/`),
	regexp.MustCompile(`\b(?:proxy|sum)\.golang\.org\b`),
	regexp.MustCompile(`\bregistry\.(?:npmjs|yarnpkg)\.[a-z]+\b`),
	regexp.MustCompile(`\b(?:deb|security)\.debian\.org\b`),
	regexp.MustCompile(`\b(?:pypi\.org|files\.pythonhosted\.org)\b`),
	regexp.MustCompile(`://[^/\s"']*\.(?:internal|corp|intranet|lan)\b`),
	regexp.MustCompile(`(?i)\b(?:artifactory|nexus)\.[a-z0-9.-]+`),
}

// checkWords reads code and documents, but not tests: a test may well feed a
// program such a word.
func checkWords(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if !f.IsTest() && !f.IsTestdata() && path.Base(f.Path) != "go.sum" {
			bad = append(bad, match(f, offWords, "puts work off, or points outside the repository")...)
		}
	}
	return bad
}

func checkPlaces(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if path.Base(f.Path) != "go.sum" {
			bad = append(bad, match(f, placePatterns, "is a place that other people do not have")...)
		}
	}
	return bad
}

func match(f *File, patterns []*regexp.Regexp, why string) []Finding {
	var bad []Finding
	for i, line := range strings.Split(string(f.Src), "\n") {
		for _, re := range patterns {
			if m := re.FindString(line); m != "" {
				bad = append(bad, Finding{Path: f.Path, Line: i + 1, Text: fmt.Sprintf("%q %s", strings.TrimSpace(m), why)})
			}
		}
	}
	return bad
}

const deviationMark = "Deviation:"

// minReason is how many words what is done instead and why takes at least.
const minReason = 6

var reasonWord = regexp.MustCompile(`(?i)\b(?:because|since|as|so|for|otherwise|would|could|lest|to|needs?|keeps?|lets?|avoids?|on purpose)\b`)

// checkDeviations asks each comment with a deviation for a reason. What counts
// as one is a guess, and meant as one: it catches the bare mark.
func checkDeviations(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil {
			continue
		}
		for _, g := range f.AST.Comments {
			_, after, found := strings.Cut(g.Text(), deviationMark)
			if found && (len(strings.Fields(after)) < minReason || !reasonWord.MatchString(after)) {
				bad = append(bad, t.at(deviationPos(g).Pos(), "a deviation without a reason: say what is done instead and why"))
			}
		}
	}
	return bad
}

func deviationPos(g *ast.CommentGroup) *ast.Comment {
	for _, c := range g.List {
		if strings.Contains(c.Text, deviationMark) {
			return c
		}
	}
	return g.List[0]
}
