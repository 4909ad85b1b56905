#pragma once

/// What came out: times, bounds, traffic, memory, waits.
#include "core/report/result.h"
#include "core/report/summary.h"
