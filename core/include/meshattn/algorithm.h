#pragma once

/// The algorithms there are, their options, and what it takes to write another one.
#include "core/algorithms/catalogue.h"
#include "core/algorithms/chunks.h"
#include "core/schedule/schedule_builder.h"
