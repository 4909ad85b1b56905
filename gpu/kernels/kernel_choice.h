#pragma once

namespace meshattn::gpu {

/// Which kernels compute attention.
enum class Kernels {
  kFast,        ///< cuDNN's, the reference kernels where it does not
  kRepeatable,  ///< the same, but every run gives the same bits
  kReference,   ///< the reference kernels alone
};

}  // namespace meshattn::gpu
