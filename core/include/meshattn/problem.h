#pragma once

/// What is to be computed: shape, mask, partition of the tokens among ranks, pass.
#include "core/problem/mask_text.h"
#include "core/problem/problem.h"
