// SPDX-License-Identifier: MIT

package weir

// #cgo pkg-config: weir
import "C"
