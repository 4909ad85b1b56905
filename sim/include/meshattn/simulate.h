#pragma once

/// Plans, verifies, simulates and summarises a request, all at once or one by one.
#include "sim/evaluate.h"
#include "sim/simulator.h"
