//go:build tools

// Package kubo pins the Kubo that content tests run against.
package kubo

import _ "github.com/ipfs/kubo/cmd/ipfs"
