module github.com/handfast/handfast

go 1.26.0

require golang.org/x/sys v0.49.0

require golang.org/x/net v0.53.0
