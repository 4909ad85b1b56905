#pragma once

/// GPUs and what joins them: read from files or made in code; routes between ranks.
#include "core/cluster/cluster_file.h"
#include "core/cluster/network.h"
