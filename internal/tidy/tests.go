package tidy

import (
	"go/ast"
	"strings"
)

// checkSleep is a guess by file: one that sleeps must at least know bubbles.
func checkSleep(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil || !f.IsTest() || f.knows("testing/synctest") {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if e, ok := n.(*ast.SelectorExpr); ok && f.is(e, "time", "Sleep") {
				bad = append(bad, t.at(e.Pos(), "sleeps in real time: wait for what is to happen, or use testing/synctest"))
			}
			return true
		})
	}
	return bad
}

func (f *File) knows(path string) bool {
	for _, p := range f.imports {
		if p == path {
			return true
		}
	}
	return false
}

// checkFuzz accepts f.Add in the target, or files in testdata/fuzz.
func checkFuzz(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil || !f.IsTest() {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Body != nil && strings.HasPrefix(fn.Name.Name, "Fuzz") &&
				!adds(fn) && !t.hasCorpus(f.Dir(), fn.Name.Name) {
				bad = append(bad, t.at(fn.Pos(), "%s starts from nothing: f.Add seeds, or keep some in testdata/fuzz/%s", fn.Name.Name, fn.Name.Name))
			}
		}
	}
	return bad
}

// adds reports whether the target calls Add, or hands its *testing.F on to a
// function that may.
func adds(fn *ast.FuncDecl) bool {
	params := fn.Type.Params.List
	if len(params) != 1 || len(params[0].Names) != 1 {
		return true // not a fuzz target
	}
	f := params[0].Names[0].Name
	found := false
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
			id, ok := s.X.(*ast.Ident)
			found = found || ok && id.Name == f
		}
		for _, a := range call.Args {
			id, ok := a.(*ast.Ident)
			found = found || ok && id.Name == f
		}
		return true
	})
	return found
}

func (t *Tree) hasCorpus(dir, target string) bool {
	prefix := strings.TrimPrefix(dir+"/", "./") + "testdata/fuzz/" + target + "/"
	for _, f := range t.Files {
		if strings.HasPrefix(f.Path, prefix) {
			return true
		}
	}
	return false
}
