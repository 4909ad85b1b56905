#pragma once

#include <cstddef>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// Runs the reference kernels of a call on one CPU thread: the source that devices run, too.
void run_on_cpu(const Call& call, std::byte* arena);

}  // namespace meshattn::gpu
