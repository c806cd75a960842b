package tidy

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
)

// The sizes at which one looks for a better cut, and at which it is demanded.
const (
	warnFileLines     = 500
	maxFileLines      = 700
	warnFunctionLines = 70
	maxFunctionLines  = 100
)

func checkFormat(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if !f.IsGo() || f.IsTestdata() {
			continue
		}
		if f.Err != nil {
			bad = append(bad, Finding{Path: f.Path, Text: "does not parse: " + f.Err.Error()})
			continue
		}
		if out, err := format.Source(f.Src); err != nil || !bytes.Equal(out, f.Src) {
			bad = append(bad, Finding{Path: f.Path, Text: "gofmt would change it"})
		}
	}
	return bad
}

func checkFileLength(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil || f.IsTest() || f.IsTestdata() || ast.IsGenerated(f.AST) {
			continue
		}
		if n := f.lines(); n > warnFileLines {
			bad = append(bad, Finding{
				Path: f.Path,
				Text: fmt.Sprintf("%d lines; %d is where to think of a better cut, %d the end", n, warnFileLines, maxFileLines),
				Warn: n <= maxFileLines,
			})
		}
	}
	return bad
}

func checkFunctionLength(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil || f.IsTest() || f.IsTestdata() || ast.IsGenerated(f.AST) {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := t.line(fn.End()) - t.line(fn.Pos()) + 1
			if n <= warnFunctionLines {
				continue
			}
			w := t.at(fn.Pos(), "%s has %d lines; %d is where to think of a better cut, %d the end",
				fn.Name.Name, n, warnFunctionLines, maxFunctionLines)
			w.Warn = n <= maxFunctionLines
			bad = append(bad, w)
		}
	}
	return bad
}
