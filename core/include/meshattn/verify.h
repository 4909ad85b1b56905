#pragma once

/// The proof of a schedule, and its findings in words.
#include "core/schedule/passes/verify.h"
#include "core/schedule/passes/verify/findings.h"
