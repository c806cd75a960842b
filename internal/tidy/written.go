package tidy

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
)

// writtenTables returns the places that assign to a package-level variable, or
// to a part of one: what is written is not a table. Names are resolved package
// by package with go/types; imports stay empty, because what a name of this
// package means does not depend on them.
func (t *Tree) writtenTables() []Finding {
	dirs := make(map[string][]*ast.File)
	for _, f := range t.code(everywhere) {
		key := f.Dir() + " " + f.AST.Name.Name
		dirs[key] = append(dirs[key], f.AST)
	}
	var bad []Finding
	for key, files := range dirs {
		info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
		conf := types.Config{Importer: emptyImporter{}, Error: func(error) {}, FakeImportC: true}
		pkg, _ := conf.Check(key, t.fset, files, info)
		global := func(e ast.Expr) (string, bool) {
			id := root(e)
			if id == nil || info.Uses[id] == nil {
				return "", false
			}
			v, ok := info.Uses[id].(*types.Var)
			return id.Name, ok && pkg != nil && v.Parent() == pkg.Scope()
		}
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				for _, e := range written(n) {
					if name, ok := global(e); ok {
						bad = append(bad, t.at(e.Pos(), "the package-level variable %s is written here", name))
					}
				}
				return true
			})
		}
	}
	return bad
}

// written returns the expressions that the statement n changes.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (id.Name == "delete" || id.Name == "clear") {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns the variable that e is a part of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// emptyImporter answers every import with a package without names.
type emptyImporter struct{}

func (emptyImporter) Import(p string) (*types.Package, error) {
	pkg := types.NewPackage(p, path.Base(p))
	pkg.MarkComplete()
	return pkg, nil
}
