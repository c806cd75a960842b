package tidy

import (
	"fmt"
	"go/ast"
	"strings"
)

// excuse is one //tidy:allow comment and the lines it covers.
type excuse struct {
	path     string
	line     int // where it stands
	from, to int // what it covers, both inclusive
	rule     string
	reason   string
	used     bool
}

const excusePrefix = "//tidy:"

func (t *Tree) findExcuses(f *File) []*excuse {
	var found []*excuse
	for _, g := range f.AST.Comments {
		for _, c := range g.List {
			rest, ok := strings.CutPrefix(c.Text, excusePrefix)
			if !ok {
				continue
			}
			e := &excuse{path: f.Path, line: t.line(c.Pos())}
			e.from, e.to = t.covered(f, g)
			if verb, args, _ := strings.Cut(rest, " "); verb == "allow" {
				e.rule, e.reason, _ = strings.Cut(args, " ")
			}
			found = append(found, e)
		}
	}
	return found
}

// covered returns the lines that an excuse in the comment group g covers: the
// file, the declaration or specification that g documents, or else its own line
// and the next.
func (t *Tree) covered(f *File, g *ast.CommentGroup) (from, to int) {
	if g.End() < f.AST.Package {
		return 0, f.lines() + 1
	}
	from, to = t.line(g.Pos()), t.line(g.End())+1
	ast.Inspect(f.AST, func(n ast.Node) bool {
		var doc *ast.CommentGroup
		switch n := n.(type) {
		case *ast.FuncDecl:
			doc = n.Doc
		case *ast.GenDecl:
			doc = n.Doc
		case *ast.ValueSpec:
			doc = n.Doc
		case *ast.TypeSpec:
			doc = n.Doc
		}
		if doc == g {
			to = t.line(n.End())
		}
		return true
	})
	return from, to
}

// excused reports whether the finding of the rule is excused, and remembers
// that the excuse was needed.
func (t *Tree) excused(rule string, f Finding) bool {
	found := false
	for _, e := range t.excuses {
		if e.path == f.Path && e.rule == rule && e.reason != "" && e.from <= f.Line && f.Line <= e.to {
			e.used, found = true, true
		}
	}
	return found
}

// Excuses returns every excuse with its reason as a warning, for those who want
// to see the exceptions of the whole repository in one place.
func (t *Tree) Excuses() []Finding {
	var all []Finding
	for _, e := range t.excuses {
		all = append(all, Finding{e.path, e.line, e.rule + ": " + e.reason, true})
	}
	sortFindings(all)
	return all
}

func checkExcuses(t *Tree) []Finding {
	excusable := make(map[string]bool)
	for _, r := range styleRules() {
		excusable[r.Name] = r.Excusable
		r.Run(t)
	}
	var bad []Finding
	for _, e := range t.excuses {
		text := ""
		switch can, known := excusable[e.rule]; {
		case !known:
			text = fmt.Sprintf("an excuse reads %sallow RULE the reason; there is no rule %q", excusePrefix, e.rule)
		case !can:
			text = fmt.Sprintf("the rule %q accepts no excuse", e.rule)
		case len(strings.Fields(e.reason)) < 3:
			text = fmt.Sprintf("an excuse from %q needs a reason that a reader can judge", e.rule)
		case !e.used:
			text = fmt.Sprintf("nothing here breaks %q any more: take the excuse away", e.rule)
		default:
			continue
		}
		bad = append(bad, Finding{Path: e.path, Line: e.line, Text: text})
	}
	return bad
}
