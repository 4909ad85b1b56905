#pragma once

/// From a request to a plan: a placement and phases, each with the schedule of every rank.
#include "core/planner/placement_search.h"
