#include "core/cluster/gpu_profile.h"

#include "core/base/enum_names.h"

namespace meshattn {

namespace {

constexpr EnumNames<KernelMask, 2> kKernelMasks{{{KernelMask::kFull, "full"}, {KernelMask::kCausal, "causal"}}};

}  // namespace

std::string_view name_of(KernelMask mask) { return kKernelMasks.name_of(mask); }
KernelMask parse_kernel_mask(std::string_view name) { return kKernelMasks.parse("mask", name); }

}  // namespace meshattn
