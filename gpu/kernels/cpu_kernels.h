#pragma once

#include <cstddef>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// The reference kernels on this CPU, one thread: what devices run of the same source.
void run_on_cpu(const Call& call, std::byte* arena);

}  // namespace meshattn::gpu
