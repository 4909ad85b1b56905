#pragma once

namespace meshattn::gpu {

/// The kernels that compute attention.
enum class Kernels {
  kFast,        ///< cuDNN; the reference kernels for blocks that cuDNN does not support
  kRepeatable,  ///< as kFast, with bitwise repeatable results
  kReference,   ///< the reference kernels
};

}  // namespace meshattn::gpu
