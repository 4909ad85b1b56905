#pragma once

#include <cuda_runtime_api.h>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// The most summands of a CombineCall on a device: they are passed as kernel arguments.
inline constexpr int kMaxSummands = 256;

/// Launches the reference kernels of a call on the current device.
/// @throws DeviceError if a launch fails or a call has too many summands
void launch(const Call& call, std::byte* arena, cudaStream_t stream);

}  // namespace meshattn::gpu
