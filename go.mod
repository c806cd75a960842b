module github.com/handfast/handfast

go 1.26.0
