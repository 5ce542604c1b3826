// SPDX-License-Identifier: MIT

//go:build go1.24

package weir

// Since Go 1.24 a binding may promise that C keeps no pointer and never calls back. The first
// promise lets a user's name stay on the caller's stack, as in Allow(string(bytes), ...).

/*
#cgo noescape weir_go_allow
#cgo nocallback weir_go_allow
#cgo noescape weir_go_decide
#cgo nocallback weir_go_decide
#cgo noescape weir_go_reset
#cgo nocallback weir_go_reset
#cgo noescape weir_go_decide_many
#cgo nocallback weir_go_decide_many
#cgo noescape weir_go_decide_all
#cgo nocallback weir_go_decide_all
#include "call.h"
*/
import "C"
